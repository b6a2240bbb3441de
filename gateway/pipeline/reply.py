"""The answer to one live request: relayed or assembled, then settled exactly once."""

from collections.abc import Awaitable, Callable
from typing import ClassVar, Protocol

from gateway.context import RequestContext
from gateway.errors import GatewayError, UpstreamCutError, UpstreamError
from gateway.pipeline.accounting import Account
from gateway.pipeline.attempts import Begun, Event
from gateway.protocols.shared.assemble import MessageAssembler
from gateway.protocols.shared.usage import UsageMeter

Settle = Callable[[UsageMeter, GatewayError | None, bool], None]
"""Accounts for a request: the usage seen, what failed, and whether the client cut it short."""

WriteNow = Callable[[bytes], bool]
"""Sends bytes to the client. False when what comes next has to wait."""


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

    async def pass_on(self, write: WriteNow) -> None:
        """Give to `write` what comes, in the call it comes by, for as long as it returns True.

        May end at any time; `next` goes on.
        """

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

    async def pass_on(self, write: WriteNow) -> None:
        """Nothing is passed on but by `next`."""

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


class Relay(Reply):
    """A stream whose reads are passed on, each by itself. `first` has come already."""

    def __init__(self, begun: Begun, meter: UsageMeter, settle: Settle, first: bytes) -> None:
        super().__init__(begun, meter, settle)
        self._first: bytes | None = first
        begun.forget()

    async def next(self) -> bytes | None:
        """The client's bytes for the next read of the upstream."""
        if self.finished:
            await self.end()
            return None
        if self._first is not None:
            first, self._first = self._first, None
            return self._ended(first)
        try:
            data = await self.read()
        except UpstreamError as error:
            return self.interrupt(error)
        return self._passed(data)

    async def pass_on(self, write: WriteNow) -> None:
        """Give to `write` the client's bytes for each read."""

        def take(data: bytes) -> bool:
            passed = self._passed(data)
            return (not passed or write(passed)) and not self.finished

        if not self.finished and self._first is None:
            await self.begun.response.pass_on(take)

    def _passed(self, data: bytes) -> bytes:
        """The client's bytes for these of the upstream."""
        raise NotImplementedError

    def _ended(self, passed: bytes) -> bytes:
        """`passed`, and what follows when the answer has ended with it, well or not."""
        raise NotImplementedError


class StreamedReply(Relay):
    """A translated stream. `first` are the bytes for the events of `begun`."""

    def __init__(
        self,
        begun: Begun,
        translator: StreamTranslator,
        first: bytes,
        settle: Settle,
        listener: AnswerListener = NOBODY,
    ) -> None:
        listener.feed(begun.events)
        super().__init__(begun, translator.meter, settle, first)
        self.keep_alive = translator.KEEP_ALIVE
        self._translator = translator
        self._listener = listener

    def interrupt(self, error: GatewayError) -> bytes:
        """The error event of the protocol; nothing after the last event."""
        if self.finished:
            return b""
        self.failure, self.finished = error, True
        return self._translator.error(error)

    def _passed(self, data: bytes) -> bytes:
        try:
            events = self.begun.framer.feed(data)
        except UpstreamError as error:
            return self.interrupt(error)
        self._listener.feed(events)
        return self._ended(self._translator.feed(events))

    def _ended(self, passed: bytes) -> bytes:
        translator = self._translator
        if translator.failure is not None:
            return passed + self.interrupt(translator.failure)
        if translator.meter.completed:
            self.finished = True
            self._listener.answered()
        return passed


class AssembledReply(Reply):
    """An answer that is collected and sent at once."""

    stream = False

    def __init__(
        self,
        begun: Begun,
        account: Account,
        render: Callable[[MessageAssembler], bytes],
        listener: AnswerListener = NOBODY,
    ) -> None:
        self._assembler = MessageAssembler()
        super().__init__(begun, self._assembler.meter, account.settle)
        self._account = account
        self._render = render
        self._listener = listener
        self._has_begun = False

    async def whole(self) -> bytes:
        """The complete answer."""
        assembler = self._assembler
        try:
            self._take_begun()
            await self._account.context.cohorts.step()
            self._begin()
            while assembler.failure is None and not assembler.meter.completed:
                self._take(self.begun.framer.feed(await self.read()))
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

    def settle(self) -> None:
        """See Reply. What has come counts, even if nobody waits for the rest."""
        try:
            if not self._has_begun:
                self._take_begun()
                self._begin()
        finally:
            super().settle()

    def _take_begun(self) -> None:
        events = self.begun.events
        self.begun.forget()
        self._take(events)

    def _take(self, events: list[Event]) -> None:
        self._listener.feed(events)
        self._assembler.feed(events)

    def _begin(self) -> None:
        self._has_begun = True
        self._account.began(self._assembler.meter)
