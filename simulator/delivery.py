"""Sends a streamed answer: its pace, and the faults a plan asks for."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from simulator.errors import ApiError
from simulator.events import PING, error_frame
from simulator.exchange import Exchange
from simulator.plan import Delivery

STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
]
_MALFORMED = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_de\n\n'
)
_UNKNOWN = (
    b': a comment line\n\nevent: future_event\ndata: {"type":"future_event","detail":{"a":1}}\n\n'
)


class _Cut(Exception):  # noqa: N818 - a planned end, not a fault of this program
    """The planned cut was reached."""


@dataclass(slots=True)
class StreamDelivery:
    """One stream on its way out; `delay_seconds` is the pace when the plan names none."""

    exchange: Exchange
    delivery: Delivery
    delay_seconds: float

    async def send(
        self, frames: Iterable[bytes], error: ApiError | None, after: int | None
    ) -> None:
        """Sends head and frames; `error` comes as an event after `after` of them.

        Raises `ClientLeft` when the client leaves first.
        """
        await self.exchange.start(200, [*STREAM_HEADERS, *rate_limit_headers()])
        await self._silence("after_head", 0)
        try:
            await self._send_frames(self._with_faults(frames, error, after))
        except _Cut:
            await self.exchange.cut(self.delivery.reset)
            return
        await self.exchange.finish()

    async def before_head(self) -> None:
        """The delays planned before the response head."""
        await self.exchange.pause(self.delivery.head_delay_seconds)
        await self._silence("before_head", 0)

    async def _silence(self, place: str, events: int) -> None:
        delivery = self.delivery
        if delivery.silence_place == place and delivery.silence_events == events:
            await self.exchange.pause(delivery.silence_seconds)

    def _with_faults(
        self, frames: Iterable[bytes], error: ApiError | None, after: int | None
    ) -> Iterator[bytes]:
        """The frames with pings, broken and unknown events put in, and the error at its place."""
        delivery = self.delivery
        for index, frame in enumerate(frames):
            if error is not None and after is not None and index >= after:
                yield error_frame(error.error())
                return
            if index == delivery.malformed_events:
                yield _MALFORMED
            yield frame
            if index == 0:
                yield from [PING] * delivery.pings
                if delivery.pings_only:
                    return
            if delivery.unknown and index % 3 == 0:
                yield _UNKNOWN

    async def _send_frames(self, frames: Iterable[bytes]) -> None:
        delivery = self.delivery
        delay = self.delay_seconds if delivery.delay_seconds is None else delivery.delay_seconds
        buffered = b""
        for sent, frame in enumerate(frames):
            if delivery.cut_events is not None and sent >= delivery.cut_events:
                raise _Cut
            if sent:
                await self.exchange.pause(delivery.ping_seconds if frame is PING else delay)
            await self._silence("after_events", sent)
            data = frame.replace(b"\n", b"\r\n") if delivery.crlf else frame
            buffered = await self._write(buffered + data)
            self.exchange.record.events_sent = sent + 1
        if buffered:
            await self.exchange.write(buffered)

    async def _write(self, data: bytes) -> bytes:
        """Writes up to the planned cut, in parts of the planned size; returns what is kept back."""
        limit = self.delivery.cut_bytes
        if limit is not None:
            room = limit - self.exchange.record.bytes_sent
            if len(data) >= room:
                await self.exchange.write(data[:room])
                raise _Cut
        size = self.delivery.split_bytes
        if size is None:
            await self.exchange.write(data)
            return b""
        whole = len(data) - len(data) % size
        for start in range(0, whole, size):
            await self.exchange.write(data[start : start + size])
            await asyncio.sleep(0)
        return data[whole:]


def rate_limit_headers() -> list[tuple[bytes, bytes]]:
    """The rate limit headers of an account far from its limits."""
    headers: list[tuple[bytes, bytes]] = []
    for name, limit in (
        ("requests", 4000),
        ("input-tokens", 2_000_000),
        ("output-tokens", 400_000),
    ):
        prefix = f"anthropic-ratelimit-{name}".encode()
        headers += [
            (prefix + b"-limit", str(limit).encode()),
            (prefix + b"-remaining", str(limit - 1).encode()),
        ]
    return headers
