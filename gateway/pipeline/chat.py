"""OpenAI chat completions, and the plain chat in their clothes."""

import time
from collections.abc import Awaitable, Callable
from functools import partial

from gateway import wire
from gateway.catalog.models import Model
from gateway.context import RequestContext
from gateway.pipeline.accounting import Account
from gateway.pipeline.cached_answers import CachedAnswers
from gateway.pipeline.kept_reply import KeptAs, KeptReply
from gateway.pipeline.known_prefixes import Reading
from gateway.pipeline.live import AnyReply, LivePipeline
from gateway.pipeline.prepared import PLAINLY, Prepared, Preparing, Started
from gateway.pipeline.reply import AssembledReply, Reply, StreamedReply
from gateway.protocols.chat_dialects import translate
from gateway.protocols.openai_chat import PREFIX_FORM
from gateway.protocols.openai_chat_answer import answer
from gateway.protocols.openai_chat_stream import ChatStream
from gateway.protocols.shared.assemble import MessageAssembler
from gateway.protocols.simple_chat import chat_body, plain_answer
from gateway.structs import Struct, replace
from gateway.wire import JSONObject

Read = Callable[[str, bytes], Reading]
"""Reads the body of a project's request. Raises InvalidRequestError when it is no JSON object."""

Render = Callable[[JSONObject], JSONObject]

_BY_EVENT = Preparing(by_event=True)


class ChatPipeline(Struct, frozen=True):
    """Serves `POST /v1/chat/completions` and `POST /chat`."""

    live: LivePipeline
    answers: CachedAnswers

    def open_chat(self, context: RequestContext, body: bytes) -> Awaitable[Reply]:
        """The reply to an OpenAI chat completion."""
        return self._open(context, body, self._read, partial(_chat_reply, context))

    def open_simple_chat(self, context: RequestContext, body: bytes) -> Awaitable[Reply]:
        """The reply to `POST /chat`."""
        reply = partial(_chat_reply, context, render=plain_answer)
        return self._open(context, body, _plain_chat, reply)

    def _read(self, project: str, body: bytes) -> Reading:
        return self.live.prefixes.read(project, body, PREFIX_FORM)

    def check(self, body: bytes) -> None:
        """Raises InvalidRequestError and ModelNotFoundError for what would be refused later."""
        _ = self.live.names.resolve(translate(wire.loads_object(body)).asked_model)

    def open_kept(self, context: RequestContext, body: bytes, kept: KeptAs) -> Awaitable[KeptReply]:
        """The reply to a chat completion that is promised under an id."""

        def reply(account: Account, started: Started) -> KeptReply:
            plan = replace(started.prepared.plan, completion_id=kept.id)
            translator = ChatStream(plan, kept.created_at, kept.id)

            def whole(collected: MessageAssembler) -> bytes:
                return wire.dumps(answer(collected.message, collected.meter, plan, kept.created_at))

            made = KeptReply(started.begun, translator, whole, account.settle, started.listener)
            account.began(translator.meter)
            return made

        return self._open(context, body, self._read, reply, _BY_EVENT)

    def _open(
        self,
        context: RequestContext,
        body: bytes,
        read: Read,
        reply: Callable[[Account, Started], AnyReply],
        how: Preparing = PLAINLY,
    ) -> Awaitable[AnyReply]:
        live = self.live

        async def prepare(instead: Model | None) -> Prepared:
            reading = read(context.known_caller().project.id, body)
            await context.cohorts.step()
            draft = translate(reading.body, reading.prefix)
            await context.cohorts.step()
            digests = reading.digests()
            prepared = await live.prepared(context, draft, how, instead, digests)
            live.prefixes.keep(reading, digests)
            return prepared

        return live.open(context, body, prepare, self.answers.begin, reply)


def _chat_reply(
    context: RequestContext,
    account: Account,
    started: Started,
    render: Render | None = None,
) -> Reply:
    """The reply in the form the client asked for, with the events so far already in it."""
    plan, created = started.prepared.plan, int(time.time())
    begun, listener = started.begun, started.listener
    if plan.stream:
        translator = ChatStream(plan, created, _completion_id(context))
        first = translator.feed(begun.events)
        account.began(translator.meter)
        return StreamedReply(begun, translator, first, account.settle, listener)

    def whole(collected: MessageAssembler) -> bytes:
        completion = answer(collected.message, collected.meter, plan, created)
        return wire.dumps(completion if render is None else render(completion))

    return AssembledReply(begun, account, whole, listener)


def _plain_chat(_: str, body: bytes) -> Reading:
    return Reading(chat_body(wire.loads_object(body)))


def _completion_id(context: RequestContext) -> str:
    return "chatcmpl-" + context.request_id.removeprefix("req_")
