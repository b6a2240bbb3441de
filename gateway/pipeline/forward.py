"""Answers to /v1/messages: Claude's own bytes, read on the side for usage."""

from gateway import wire
from gateway.errors import GatewayError, UpstreamError
from gateway.pipeline.attempts import Begun, Event
from gateway.pipeline.reply import Relay, Reply, Settle
from gateway.protocols.shared.failures import (
    UNREADABLE,
    anthropic_error,
    unreadable_event,
    upstream_event_error,
)
from gateway.protocols.shared.usage import UsageMeter


class UsageReader:
    """Reads usage off the events of a Messages stream. Deltas are counted, not parsed."""

    def __init__(self) -> None:
        self.meter = UsageMeter()
        self.failure: UpstreamError | None = None

    def feed(self, events: list[Event]) -> None:
        """Take these events in; sets `failure` when one of them is an error."""
        for name, payload in events:
            if name == "content_block_delta":
                self.meter.output_chars += max(0, len(payload) - _DELTA_FRAME_CHARS)
            elif name in _READ:
                try:
                    self._read(name, wire.loads(payload))
                except UNREADABLE as error:
                    self.failure = unreadable_event(error)

    def _read(self, name: str, event: wire.JSONObject) -> None:
        if name == "message_start":
            self.meter.on_message_start(event["message"])
        elif name == "message_delta":
            self.meter.on_message_delta(event)
        elif name == "message_stop":
            self.meter.on_stop()
        else:
            self.failure = upstream_event_error(event)


_READ = frozenset({"message_start", "message_delta", "message_stop", "error"})
_DELTA_FRAME_CHARS = 80  # what the JSON around the text of a delta takes


class ForwardedStream(Relay):
    """A Messages stream, byte for byte; an end without `message_stop` is made an error event.

    Only whole events leave: an event that was cut would reach the client as broken JSON. Claude's
    own pings pass and none of ours are added, since they would not be its bytes.
    """

    def __init__(self, begun: Begun, reader: UsageReader, settle: Settle) -> None:
        super().__init__(begun, reader.meter, settle, begun.raw)
        self._reader = reader
        self._torn = b""

    def interrupt(self, error: GatewayError) -> bytes:
        """An error event; what came of a torn event is left out."""
        if self.finished:
            return b""
        self.failure, self.finished = error, True
        return b"event: error\ndata: " + wire.dumps(anthropic_error(error)) + b"\n\n"

    def _passed(self, data: bytes) -> bytes:
        try:
            self._reader.feed(self.begun.framer.feed(data))
        except UpstreamError as error:
            return self.interrupt(error)
        return self._ended(data)

    def _ended(self, passed: bytes) -> bytes:
        """`passed` up to the end of its last event; what follows waits for the rest of its own."""
        self.failure = self._reader.failure
        self.finished = self._reader.meter.completed or self.failure is not None
        data = self._torn + passed
        if self.finished:
            return data
        end = max(data.rfind(b"\n\n") + 2, data.rfind(b"\n\r\n") + 3)
        if end < 3:  # neither was found
            end = 0
        self._torn = data[end:]
        return data[:end]


class ForwardedBody(Reply):
    """A Messages answer that is not streamed, byte for byte."""

    stream = False

    def __init__(self, begun: Begun, settle: Settle) -> None:
        self._usage = UsageMeter()
        super().__init__(begun, self._usage, settle)

    async def whole(self) -> bytes:
        """The answer."""
        try:
            body = await self.begun.response.read_all()
            self._read(body)
        except UpstreamError as error:
            self.failure, self.finished = error, True
            raise
        self.finished = True
        return body

    def _read(self, body: bytes) -> None:
        try:
            self._usage.on_message_start(wire.loads(body))
        except (wire.JSONDecodeError, AttributeError) as error:
            raise unreadable_event(error) from error
        self._usage.on_stop()
