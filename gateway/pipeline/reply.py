"""The answer to one live request: relayed or assembled, then settled exactly once."""

from collections.abc import Awaitable, Callable
from typing import ClassVar, Protocol

from gateway.context import RequestContext
from gateway.errors import GatewayError, UpstreamCutError, UpstreamError
from gateway.pipeline.attempts import Begun, Event
from gateway.protocols.shared.assemble import MessageAssembler
from gateway.protocols.shared.usage import UsageMeter

Settle = Callable[[UsageMeter, GatewayError | None, bool], None]
"""Accounts for a request: the usage seen, what failed, and whether the client cut it short."""


class LiveReply(Protocol):
    """An admitted request whose answer has begun well."""

    @property
    def stream(self) -> bool:
        """True when the client asked for a stream."""

    @property
    def status(self) -> int:
        """The HTTP status of an answer that is not streamed."""

    @property
    def keep_alive(self) -> bytes:
        """A comment that clients of the protocol ignore."""

    async def next(self) -> bytes | None:
        """The next bytes for the client, None after the last."""

    async def whole(self) -> bytes:
        """The complete answer of a request that is not streamed."""

    def interrupt(self, error: GatewayError) -> bytes:
        """The last bytes of a stream that is ended here, which say why."""

    def settle(self) -> None:
        """Account for the request and let go of the upstream. Idempotent, never waits."""


class LiveOpener(Protocol):
    """Does everything up to the first event of the upstream."""

    def __call__(self, context: RequestContext, body: bytes) -> Awaitable[LiveReply]:
        """The reply. Raises GatewayError while an HTTP status can still be given."""


class StreamTranslator(Protocol):
    """Turns upstream events into the client protocol's stream."""

    KEEP_ALIVE: ClassVar[bytes]
    meter: UsageMeter
    failure: UpstreamError | None

    def feed(self, events: list[Event]) -> bytes:
        """The client's bytes for these events; sets `failure` when one of them is an error."""

    def error(self, error: GatewayError) -> bytes:
        """The terminal error event of the protocol."""


class AnswerListener(Protocol):
    """Hears an answer pass by, to keep what the next request will need of it."""

    def feed(self, events: list[Event]) -> None:
        """Events of the answer, as they come, before they are translated."""

    def answered(self) -> None:
        """The answer is complete; called before its last bytes leave. Never waits."""


class _Nobody:
    """Hears nothing."""

    def feed(self, events: list[Event]) -> None:
        """Nothing is kept."""

    def answered(self) -> None:
        """Nothing is kept."""


NOBODY: AnswerListener = _Nobody()
"""For answers of which nothing is kept."""


class Reply:
    """An answer that has begun. A stream is read by `next`, any other by `whole`.

    `failure` is what went wrong since; `finished` tells that nothing is left to send.
    """

    stream = True
    status = 200
    keep_alive = b""

    def __init__(self, begun: Begun, meter: UsageMeter, settle: Settle) -> None:
        self.begun = begun
        self.failure: GatewayError | None = None
        self.finished = False
        self._meter = meter
        self._settle: Settle | None = settle

    async def next(self) -> bytes | None:
        """The next bytes for the client; None after the last."""
        raise RuntimeError("this reply is not streamed")

    async def whole(self) -> bytes:
        """The complete answer. Raises UpstreamError with its true status when it failed."""
        raise RuntimeError("this reply is streamed")

    def interrupt(self, error: GatewayError) -> bytes:
        """The last bytes of a stream that is ended here, in the words of its protocol."""
        self.failure, self.finished = error, True
        return b""

    def settle(self) -> None:
        """Account for the request and let go of the upstream. Idempotent, never waits."""
        settle, self._settle = self._settle, None
        if settle is not None:
            self.begun.response.abort()
            settle(self._meter, self.failure, not self.finished)

    async def read(self) -> bytes:
        """The upstream's next bytes. Raises UpstreamCutError at an end that came too early."""
        data = await self.begun.response.read()
        if not data:
            raise UpstreamCutError("the upstream ended the answer before it was complete")
        return data

    async def end(self) -> None:
        """Nothing is left to send: let the connection be used again after a good answer."""
        if self.failure is None:
            await self.begun.response.finish()


class StreamedReply(Reply):
    """A translated stream. `first` are the bytes for the events of `begun`."""

    def __init__(
        self,
        begun: Begun,
        translator: StreamTranslator,
        first: bytes,
        settle: Settle,
        listener: AnswerListener = NOBODY,
    ) -> None:
        super().__init__(begun, translator.meter, settle)
        self.keep_alive = translator.KEEP_ALIVE
        self._translator = translator
        self._first: bytes | None = first
        self._listener = listener
        listener.feed(begun.events)
        begun.forget()

    async def next(self) -> bytes | None:
        """The client's bytes for the next read of the upstream."""
        if self.finished:
            await self.end()
            return None
        try:
            data = await self._translated()
        except UpstreamError as error:
            return self._fail(error)
        if self._translator.failure is not None:
            return data + self._fail(self._translator.failure)
        self.finished = self._translator.meter.completed
        if self.finished:
            self._listener.answered()
        return data

    def interrupt(self, error: GatewayError) -> bytes:
        """The error event of the protocol; nothing after the last event."""
        return b"" if self.finished else self._fail(error)

    async def _translated(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        events = self.begun.framer.feed(await self.read())
        self._listener.feed(events)
        return self._translator.feed(events)

    def _fail(self, error: GatewayError) -> bytes:
        self.finished = True
        self.failure = error
        return self._translator.error(error)


class AssembledReply(Reply):
    """An answer that is collected and sent at once."""

    stream = False

    def __init__(
        self,
        begun: Begun,
        assembler: MessageAssembler,
        render: Callable[[MessageAssembler], bytes],
        settle: Settle,
        listener: AnswerListener = NOBODY,
    ) -> None:
        super().__init__(begun, assembler.meter, settle)
        self._assembler = assembler
        self._render = render
        self._listener = listener
        listener.feed(begun.events)
        begun.forget()

    async def whole(self) -> bytes:
        """The complete answer."""
        assembler = self._assembler
        try:
            while assembler.failure is None and not assembler.meter.completed:
                events = self.begun.framer.feed(await self.read())
                self._listener.feed(events)
                assembler.feed(events)
            if assembler.failure is not None:
                raise assembler.failure
        except UpstreamError as error:
            self.failure = error
            self.finished = True
            raise
        self.finished = True
        await self.end()
        body = self._render(assembler)
        self._listener.answered()
        return body
