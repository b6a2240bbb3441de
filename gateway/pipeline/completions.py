"""Legacy completions: a chat turn with other words around it."""

import time
from collections.abc import Awaitable

from gateway import wire
from gateway.catalog.models import Model
from gateway.context import RequestContext
from gateway.errors import GatewayError
from gateway.pipeline.accounting import Account
from gateway.pipeline.cached_answers import CachedAnswers
from gateway.pipeline.live import LivePipeline
from gateway.pipeline.prepared import Prepared, Preparing, Started
from gateway.pipeline.reply import NOBODY, AssembledReply, Reply, Settle, StreamedReply
from gateway.protocols.legacy_completions import (
    CompletionPlan,
    CompletionRequest,
    completion_answer,
    read_completion,
    think_only_when_asked,
)
from gateway.protocols.legacy_completions_stream import CompletionStream
from gateway.protocols.openai_chat import translate
from gateway.protocols.shared.assemble import MessageAssembler
from gateway.protocols.shared.usage import UsageMeter
from gateway.structs import Struct, replace

_TYPING = Preparing(short=True, adjust=think_only_when_asked)


class CompletionPipeline(Struct, frozen=True):
    """Serves `POST /v1/completions` through the steps of a chat request."""

    live: LivePipeline
    answers: CachedAnswers

    def open_completion(self, context: RequestContext, body: bytes) -> Awaitable[Reply]:
        """The reply to a completion request. Raises GatewayError before there is one."""
        plans: list[CompletionPlan] = []

        async def prepare(instead: Model | None) -> Prepared:
            request = read_completion(wire.loads_object(body))
            plans.append(request.plan)
            return await self._prepared(context, request, instead)

        def reply(account: Account, started: Started) -> Reply:
            return _completion_reply(context, account, started, plans[0])

        return self.live.open(context, body, prepare, self.answers.begin, reply)

    async def _prepared(
        self, context: RequestContext, request: CompletionRequest, instead: Model | None
    ) -> Prepared:
        draft = translate(request.chat)
        draft.ignored += request.ignored
        # Nothing of it comes back in a later request, so no turn is kept.
        prepared = await self.live.prepared(context, draft, _TYPING, instead)
        return replace(prepared, listener=NOBODY)


def _completion_reply(
    context: RequestContext, account: Account, started: Started, plan: CompletionPlan
) -> Reply:
    """The reply in the form the client asked for, with the events so far already in it."""
    begun, listener = started.begun, started.listener
    how, created = started.prepared.plan, int(time.time())
    if how.stream:
        translator = CompletionStream(how, plan, created, context.request_id)
        first = translator.feed(begun.events)
        account.began(translator.meter)
        return StreamedReply(begun, translator, first, _settles(account, translator), listener)

    def whole(collected: MessageAssembler) -> bytes:
        message, meter = collected.message, collected.meter
        return wire.dumps(completion_answer(message, meter, how, plan, created))

    return AssembledReply(begun, account, whole, listener)


def _settles(account: Account, translator: CompletionStream) -> Settle:
    """Settles a stream; the output of one that was ended here is an estimate."""

    def settle(meter: UsageMeter, failure: GatewayError | None, cut: bool) -> None:
        if translator.ended_early:
            meter.completed = False  # Claude's last counts have not come
        account.settle(meter, failure, cut)

    return settle
