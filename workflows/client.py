"""The durable engine's port on Temporal: lazy, and never later than its deadline.

Temporal's package costs a second and 20 MiB to import, so an API process loads it with the first
call. Workflows are started by name: their modules, and what their activities import, stay out of
the API. Every call is cut off by a deadline of ours, because a call to a server that has died
keeps trying for seconds past its own.
"""

import asyncio
import ssl
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from gateway.durable import (
    USAGE_ROLLUP_ID,
    BackgroundInput,
    BatchInput,
    CircuitInput,
    CircuitOrder,
    CircuitView,
    ContextSummaryInput,
    DurableUnavailableError,
    EngineAddress,
)

if TYPE_CHECKING:
    from temporalio.client import Client

DEADLINE_SECONDS = 5.0

_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_SETTINGS_FRAME = 4

_Result = TypeVar("_Result")


class TemporalEngine:
    """Implements `gateway.durable.DurableEngine`."""

    def __init__(
        self, address: EngineAddress, *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._address = address
        self._deadline_seconds = deadline_seconds
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def is_reachable(self) -> bool:
        """True when a server answers at the address now, without loading Temporal's package."""
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await _greets_back(self._address)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return False

    async def ensure_schedules(self) -> None:
        """Makes or updates the schedules. Raises DurableUnavailableError."""
        await self._in_time(self._ensure_schedules())

    async def roll_up_usage_now(self) -> None:
        """Triggers the roll-up's schedule, which skips it while one runs."""
        await self._in_time(self._trigger(USAGE_ROLLUP_ID))

    async def start_context_summary(self, wanted: ContextSummaryInput) -> None:
        """Starts the workflow; one of that id, be it done, is left alone."""
        await self._in_time(self._start_context_summary(wanted))

    async def tell_circuit(self, wanted: CircuitInput, order: CircuitOrder) -> None:
        """Signals the workflow of a circuit; a failure starts it."""
        await self._in_time(self._tell_circuit(wanted, order))

    async def order_circuit(self, wanted: CircuitInput, order: CircuitOrder) -> CircuitView:
        """Updates the workflow of a circuit and gives its state afterwards."""
        return await self._in_time(self._order_circuit(wanted, order))

    async def start_batch(self, wanted: BatchInput) -> None:
        """Starts the workflow; one of that id that runs is left alone."""
        await self._in_time(self._start_batch(wanted))

    async def pause_batch(self, batch_id: str) -> None:
        """Signals the workflow of a batch, if it runs."""
        await self._in_time(self._signal_batch(batch_id, "pause"))

    async def resume_batch(self, batch_id: str) -> None:
        """Signals the workflow of a batch, if it runs."""
        await self._in_time(self._signal_batch(batch_id, "resume"))

    async def cancel_batch(self, batch_id: str) -> None:
        """Signals the workflow of a batch, if it runs."""
        await self._in_time(self._signal_batch(batch_id, "cancel"))

    async def start_background(self, wanted: BackgroundInput) -> None:
        """Starts the workflow; one of that id, be it done, is left alone."""
        await self._in_time(self._start_background(wanted))

    async def cancel_background(self, response_id: str) -> None:
        """Signals the workflow of a response, if it runs."""
        await self._in_time(self._cancel_background(response_id))

    async def close(self) -> None:
        """Forgets the connection; it ends with its last reference."""
        self._client = None

    async def _ensure_schedules(self) -> None:
        from workflows import schedules  # noqa: PLC0415 - imports Temporal's package

        await schedules.ensure_schedules(await self._connected())

    async def _trigger(self, schedule_id: str) -> None:
        client = await self._connected()
        await client.get_schedule_handle(schedule_id).trigger()

    async def _start_context_summary(self, wanted: ContextSummaryInput) -> None:
        from workflows import starts  # noqa: PLC0415 - imports Temporal's package

        await starts.start_context_summary(await self._connected(), wanted)

    async def _tell_circuit(self, wanted: CircuitInput, order: CircuitOrder) -> None:
        from workflows import starts  # noqa: PLC0415 - imports Temporal's package

        await starts.tell_circuit(await self._connected(), wanted, order)

    async def _order_circuit(self, wanted: CircuitInput, order: CircuitOrder) -> CircuitView:
        from workflows import starts  # noqa: PLC0415 - imports Temporal's package

        return await starts.order_circuit(await self._connected(), wanted, order)

    async def _start_batch(self, wanted: BatchInput) -> None:
        from workflows import starts  # noqa: PLC0415 - imports Temporal's package

        await starts.start_batch(await self._connected(), wanted)

    async def _signal_batch(self, batch_id: str, signal: str) -> None:
        from workflows import starts  # noqa: PLC0415 - imports Temporal's package

        await starts.signal_batch(await self._connected(), batch_id, signal)

    async def _start_background(self, wanted: BackgroundInput) -> None:
        from workflows import starts  # noqa: PLC0415 - imports Temporal's package

        await starts.start_background(await self._connected(), wanted)

    async def _cancel_background(self, response_id: str) -> None:
        from workflows import starts  # noqa: PLC0415 - imports Temporal's package

        await starts.cancel_background(await self._connected(), response_id)

    async def _connected(self) -> "Client":
        from workflows.connection import connect  # noqa: PLC0415 - imports Temporal's package

        async with self._connecting:
            if self._client is None:
                self._client = await connect(self._address, timeout_seconds=self._deadline_seconds)
            return self._client

    async def _in_time(self, call: Awaitable[_Result]) -> _Result:
        from temporalio.service import RPCError  # noqa: PLC0415 - imports Temporal's package

        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await call
        except (RPCError, RuntimeError, OSError, TimeoutError) as error:
            # Temporal's core reports a connection that cannot be made as a bare RuntimeError.
            raise DurableUnavailableError(
                "the durable engine does not answer", detail=type(error).__name__
            ) from error


async def _greets_back(address: EngineAddress) -> bool:
    """True when the server answers HTTP/2's greeting: its first frame must be SETTINGS."""
    host, _, port = address.host_and_port.rpartition(":")
    context = None
    if address.api_key is not None:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    try:
        writer.write(_HTTP2_GREETING)
        frame_head = await reader.readexactly(9)
    finally:
        writer.close()
    return frame_head[3] == _SETTINGS_FRAME
