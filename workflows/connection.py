"""Connecting to Temporal, for the worker and the client."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RetryConfig, RPCError

from gateway.durable import EngineAddress

_log = logging.getLogger("worker")


async def connect(address: EngineAddress, *, timeout_seconds: float = 5.0) -> Client:
    """A client that is connected. Raises RuntimeError when the server does not answer."""
    return await Client.connect(
        address.host_and_port,
        namespace=address.namespace,
        api_key=address.api_key,
        tls=True if address.api_key else None,
        connect_timeout=timedelta(seconds=timeout_seconds),
        # The default keeps trying for ten seconds after the caller's deadline.
        retry_config=RetryConfig(max_elapsed_time_millis=int(timeout_seconds * 1000)),
    )


async def connect_in_the_end(
    address: EngineAddress, prepare: Callable[[Client], Awaitable[None]], stop: asyncio.Event
) -> Client | None:
    """A client once Temporal answers and is prepared; None when told to stop before."""
    waiting = False
    while not stop.is_set():
        try:
            client = await connect(address)
            await prepare(client)
            return client
        except (RuntimeError, RPCError) as error:
            if not waiting:
                _log.warning("worker: waits for Temporal (%s)", type(error).__name__)
            waiting = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)
    return None
