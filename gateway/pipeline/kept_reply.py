"""An answer that is streamed and kept whole at the same time, for clients that come back."""

from collections.abc import Callable

from gateway.errors import UpstreamError
from gateway.pipeline.attempts import Begun
from gateway.pipeline.reply import AnswerListener, Reply, Settle, StreamTranslator
from gateway.protocols.shared.assemble import MessageAssembler
from gateway.structs import Struct


class KeptAs(Struct, frozen=True):
    """The identity of an answer that was promised before it began.

    `id` is the one the client knows, `created_at` the moment in Unix seconds; events of the stream
    are numbered from `first_event`.
    """

    id: str
    created_at: int
    first_event: int


class KeptReply(Reply):
    """The stream by `next`, and after its end the whole answer by `final`."""

    def __init__(
        self,
        begun: Begun,
        translator: StreamTranslator,
        render: Callable[[MessageAssembler], bytes],
        settle: Settle,
        listener: AnswerListener,
    ) -> None:
        super().__init__(begun, translator.meter, settle)
        self._translator = translator
        self._assembler = MessageAssembler()
        self._render = render
        self._listener = listener
        listener.feed(begun.events)
        self._assembler.feed(begun.events)
        self._first: bytes | None = translator.feed(begun.events)
        begun.forget()

    async def next(self) -> bytes | None:
        """The events of the next read; None after the last. Raises UpstreamError."""
        if self.finished:
            await self.end()
            return None
        try:
            data = await self._translated()
            failure = self._translator.failure or self._assembler.failure
            if failure is not None:
                raise failure
        except UpstreamError as error:
            self.failure, self.finished = error, True
            raise
        self.finished = self._translator.meter.completed
        if self.finished:
            self._listener.answered()
        return data

    def final(self) -> bytes:
        """The whole answer as JSON, once the stream has ended."""
        return self._render(self._assembler)

    async def _translated(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        events = self.begun.framer.feed(await self.read())
        self._listener.feed(events)
        self._assembler.feed(events)
        return self._translator.feed(events)
