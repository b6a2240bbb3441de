"""Connecting to Temporal, for the worker and the client."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RetryConfig

from gateway.durable import EngineAddress


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
