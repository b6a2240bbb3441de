"""The Responses API: a chat turn with items, stored state and sealed reasoning around it."""

import os
import time
from collections.abc import Awaitable, Callable

from gateway import wire
from gateway.catalog.models import Model
from gateway.context import RequestContext
from gateway.errors import NotFoundError
from gateway.pipeline.accounting import Account
from gateway.pipeline.attempts import Event
from gateway.pipeline.cached_answers import CachedAnswers
from gateway.pipeline.forward import ForwardedBody
from gateway.pipeline.kept_reply import KeptAs, KeptReply
from gateway.pipeline.known_prefixes import Reading
from gateway.pipeline.live import AnyReply, LivePipeline
from gateway.pipeline.prepared import Prepared, Preparing, Started
from gateway.pipeline.reply import AnswerListener, AssembledReply, Reply, StreamedReply
from gateway.protocols.openai_responses import (
    PREFIX_FORM,
    Recalled,
    Translated,
    state_wanted,
    stored_input,
    translate,
)
from gateway.protocols.openai_responses_answer import Answer, answer
from gateway.protocols.openai_responses_output import shown_items
from gateway.protocols.openai_responses_plan import (
    AnswerFrame,
    ResponseEnvelope,
    response_of_item,
)
from gateway.protocols.openai_responses_stream import ResponsesStream
from gateway.protocols.shared.assemble import MessageAssembler
from gateway.protocols.shared.sealed_thinking import ThinkingSeal, thinking_chain
from gateway.security.sealing import Sealer
from gateway.structs import Struct, replace
from gateway.turns.responses import StoredResponse, StoredResponses
from gateway.wire import JSONObject

_COUNTED = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config")


class _Request(Struct, frozen=True):
    """A Responses request with what was stored for it, translated."""

    reading: Reading
    recalled: Recalled
    previous_id: str | None
    seal: ThinkingSeal
    translated: Translated

    @property
    def body(self) -> JSONObject:
        """The client's body."""
        return self.reading.body


class _Keeping(Struct, frozen=True):
    """Keeps a response when its answer is complete, beside what else listens."""

    other: AnswerListener
    keep: Callable[[], None]

    def feed(self, events: list[Event]) -> None:
        """Events of the answer."""
        self.other.feed(events)

    def answered(self) -> None:
        """The answer is complete."""
        self.other.answered()
        self.keep()


class ResponsesPipeline(Struct, frozen=True):
    """Serves `POST /v1/responses` and what belongs to it."""

    live: LivePipeline
    answers: CachedAnswers
    stored: StoredResponses
    sealer: Sealer

    def open_response(self, context: RequestContext, body: bytes) -> Awaitable[Reply]:
        """The reply to a Responses request. Raises GatewayError before there is one."""

        def reply(request: _Request, account: Account, started: Started) -> Reply:
            begun, listener = started.begun, started.listener
            frame = _frame(request, started.prepared, _new_id())
            if started.prepared.plan.stream:
                translator = ResponsesStream(frame)
                first = translator.feed(begun.events)
                account.began(translator.meter)
                listener = self._keeping_streamed(context, request, translator, frame, listener)
                return StreamedReply(begun, translator, first, account.settle, listener)
            whole = self._whole(context, request, frame)

            def rendered(collected: MessageAssembler) -> bytes:
                return wire.dumps(whole(collected).response)

            return AssembledReply(begun, account, rendered, listener)

        return self._open(context, body, reply)

    async def check(self, context: RequestContext, body: bytes) -> None:
        """Raises InvalidRequestError and NotFoundError for what would be refused later."""
        request = await self._read(context, body)
        _ = self.live.names.resolve(request.translated.draft.asked_model)

    def open_kept(self, context: RequestContext, body: bytes, kept: KeptAs) -> Awaitable[KeptReply]:
        """The reply to a request that is promised under an id; `final` is what is stored."""

        def reply(request: _Request, account: Account, started: Started) -> KeptReply:
            frame = _frame(request, started.prepared, kept.id)
            envelope = replace(
                frame.envelope,
                background=True,
                first_event=kept.first_event,
                created_at=kept.created_at,
            )
            frame = replace(frame, envelope=envelope)
            translator = ResponsesStream(frame)
            whole = self._whole(context, request, frame)

            def rendered(collected: MessageAssembler) -> bytes:
                answered = whole(collected)
                return wire.dumps({**answered.response, "output": answered.items})

            begun, listener = started.begun, started.listener
            made = KeptReply(begun, translator, rendered, account.settle, listener)
            account.began(translator.meter)
            return made

        return self._open(context, body, reply, by_event=True)

    def _open(
        self,
        context: RequestContext,
        body: bytes,
        reply: Callable[[_Request, Account, Started], AnyReply],
        *,
        by_event: bool = False,
    ) -> Awaitable[AnyReply]:
        requests: list[_Request] = []

        async def prepare(instead: Model | None) -> Prepared:
            requests.append(await self._read(context, body))
            return await self._prepared(context, requests[-1], instead, by_event=by_event)

        def reply_to_first(account: Account, started: Started) -> AnyReply:
            return reply(requests[0], account, started)

        return self.live.open(context, body, prepare, self.answers.begin, reply_to_first)

    def _whole(
        self, context: RequestContext, request: _Request, frame: AnswerFrame
    ) -> Callable[[MessageAssembler], Answer]:
        created = frame.envelope.created()

        def whole(collected: MessageAssembler) -> Answer:
            answered = answer(collected.message, collected.meter, frame, created)
            self._keep(context, request, frame, answered.response, answered.items)
            return answered

        return whole

    def _keeping_streamed(
        self,
        context: RequestContext,
        request: _Request,
        translator: ResponsesStream,
        frame: AnswerFrame,
        listener: AnswerListener,
    ) -> AnswerListener:
        def keep() -> None:
            self._keep(context, request, frame, translator.response, translator.items)

        return _Keeping(listener, keep)

    async def open_input_tokens(self, context: RequestContext, body: bytes) -> Reply:
        """The reply to a token count: `{"object": "response.input_tokens", "input_tokens"}`."""
        with self.live.accounting.refusals(context):

            async def prepare() -> Prepared:
                return await self._prepared(context, await self._read(context, body), None)

            prepared = await self.live.admit_free(context, prepare)
            fitted = wire.loads(prepared.call.body)
            counted = {name: fitted[name] for name in _COUNTED if name in fitted}
            call = replace(
                prepared.call,
                path="/v1/messages/count_tokens",
                body=wire.dumps(counted),
                streamed=False,
            )
            begun = await self.live.attempts.begin(call)
        return CountReply(begun, self.live.accounting.nothing_used)

    async def get(self, project: str, response_id: str, *, encrypted: bool) -> JSONObject:
        """A stored response. Raises NotFoundError."""
        response = (await self.stored.get(project, response_id)).response
        return {**response, "output": shown_items(response["output"], encrypted=encrypted)}

    async def _read(self, context: RequestContext, data: bytes) -> _Request:
        """The request, translated behind what was stored for it."""
        project = context.known_caller().project.id
        reading = self.live.prefixes.read(project, data, PREFIX_FORM)
        body = reading.body
        wanted = state_wanted(body)
        items: list[JSONObject] = []
        if wanted.previous_response_id is not None:
            chain = await self.stored.conversation(project, wanted.previous_response_id)
            for stored in chain:
                items += [*stored.input_items, *stored.response["output"]]
        references = await self._references(project, wanted.references)
        recalled = Recalled(items, references.get)
        seal = ThinkingSeal(self.sealer, b"reasoning:" + project.encode())
        translated = translate(body, recalled, seal, reading.prefix)
        return _Request(reading, recalled, wanted.previous_response_id, seal, translated)

    async def _references(self, project: str, ids: list[str]) -> dict[str, JSONObject]:
        """The stored items of these ids, those that are known."""
        found: dict[str, JSONObject] = {}
        owners = {owner for item in ids if (owner := response_of_item(item)) is not None}
        for owner in owners:
            try:
                stored = await self.stored.get(project, owner)
            except NotFoundError:
                continue
            items = [*stored.input_items, *stored.response["output"]]
            found |= {item["id"]: item for item in items if isinstance(item.get("id"), str)}
        return found

    async def _prepared(
        self,
        context: RequestContext,
        request: _Request,
        instead: Model | None,
        *,
        by_event: bool = False,
    ) -> Prepared:
        translated = request.translated
        models = frozenset(translated.thinking_models)
        how = Preparing(client_carries=True, thinking_models=models, by_event=by_event)
        await context.cohorts.step()
        digests = request.reading.digests()
        prepared = await self.live.prepared(context, translated.draft, how, instead, digests)
        self.live.prefixes.keep(request.reading, digests)
        return prepared

    def _keep(
        self,
        context: RequestContext,
        request: _Request,
        frame: AnswerFrame,
        response: JSONObject,
        items: list[JSONObject],
    ) -> None:
        """Store a complete response, unless the client asked not to."""
        if not frame.plan.store:
            return
        response_id = frame.envelope.response_id
        self.stored.save(
            context.known_caller().project.id,
            StoredResponse(
                id=response_id,
                created_at=response["created_at"],
                previous_id=request.previous_id,
                # With the sealed reasoning, whatever the client was shown: it reads it back.
                response={**response, "output": items},
                input_items=stored_input(request.body, response_id, request.recalled.lookup),
            ),
        )


class CountReply(ForwardedBody):
    """A token count in OpenAI's shape."""

    async def whole(self) -> bytes:
        """The answer."""
        counted = wire.loads(await super().whole())
        tokens = counted.get("input_tokens", 0)
        return wire.dumps({"object": "response.input_tokens", "input_tokens": tokens})


def _new_id() -> str:
    return "resp_" + os.urandom(24).hex()


def _frame(request: _Request, prepared: Prepared, response_id: str) -> AnswerFrame:
    """What the answer is made of; its seals are bound to the thinking that was really sent."""
    chain = thinking_chain(prepared.messages)
    envelope = ResponseEnvelope(response_id, time.time, request.seal)
    return AnswerFrame(prepared.plan, replace(request.translated.plan, chain=chain), envelope)
