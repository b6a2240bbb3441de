"""One live request from its bytes to the first event of the upstream."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway import wire
from gateway.context import RequestContext
from gateway.errors import GatewayError, PermissionDeniedError
from gateway.pipeline.accounting import Account, Accounting, Asked
from gateway.pipeline.attempts import Attempts, Begun, UpstreamCall
from gateway.pipeline.forward import ForwardedBody, ForwardedStream, UsageReader
from gateway.pipeline.repairs import repairs_of
from gateway.pipeline.reply import AssembledReply, Reply, StreamedReply
from gateway.projects import Projects
from gateway.protocols import anthropic_messages, openai_chat
from gateway.protocols.model_fit import FitOptions, Fitted, fit_to_model
from gateway.protocols.openai_chat_answer import answer
from gateway.protocols.openai_chat_stream import ChatStream
from gateway.protocols.shared.assemble import MessageAssembler
from gateway.protocols.shared.draft import ReplyPlan
from gateway.protocols.simple_chat import chat_body, plain_answer
from gateway.reliability.admission import AdmissionControl
from gateway.reliability.circuit_breaker import CircuitBreaker
from gateway.reliability.retry import client_retry_count
from gateway.routing.names import ModelNames, Route
from gateway.security.keys import read_key
from gateway.telemetry import series
from gateway.wire import JSONObject

Render = Callable[[JSONObject], JSONObject]

_HEADERS = {
    "anthropic-version": "2023-06-01",
    "content-type": "application/json",
    "accept": "text/event-stream",
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to be sent: how it was read, who serves it, and how to answer."""

    plan: ReplyPlan
    route: Route
    call: UpstreamCall
    conversation: str | None = None


@dataclass(frozen=True, slots=True)
class LivePipeline:
    """Serves live requests with the parts it is given; holds no state of its own.

    `upstream` names the upstream for the breaker; `from_simulator` marks every answer as such.
    Every `open_` method gives the reply to one request, or raises GatewayError while an HTTP
    status can still be given.
    """

    projects: Projects
    admission: AdmissionControl
    names: ModelNames
    fit_options: FitOptions
    breaker: CircuitBreaker
    attempts: Attempts
    accounting: Accounting
    upstream: str
    from_simulator: bool

    async def authenticate(self, context: RequestContext) -> None:
        """Find the caller by the key in the headers; before anything else of a request."""
        with self.accounting.refusals(context):
            key = read_key(context.headers)
            context.caller = self.projects.cached(key) or await self.projects.resolve(key)
            if not context.caller.may("chat"):
                raise PermissionDeniedError("this key may not chat")

    async def open_chat(self, context: RequestContext, body: bytes) -> Reply:
        """The reply to an OpenAI chat completion."""
        return await self._chat(context, lambda: wire.loads_object(body), None)

    async def open_simple_chat(self, context: RequestContext, body: bytes) -> Reply:
        """The reply to `POST /chat`."""
        return await self._chat(context, lambda: chat_body(wire.loads_object(body)), plain_answer)

    async def open_messages(self, context: RequestContext, body: bytes) -> Reply:
        """The reply to an Anthropic Messages request: Claude's own bytes."""
        prepared, account = await self._admit(
            context, lambda: self._forwarded(context, body, "/v1/messages")
        )
        begun = await self._begin(account, prepared.call)
        context.response_headers |= anthropic_messages.returned_headers(begun.response.headers)
        if not prepared.plan.stream:
            return ForwardedBody(begun, account.settle)
        reader = UsageReader()
        reader.feed(begun.events)
        account.began(reader.meter)
        return ForwardedStream(begun, reader, account.settle)

    async def open_count_tokens(self, context: RequestContext, body: bytes) -> Reply:
        """The reply to an Anthropic token count: free, so it leaves no usage."""
        with self.accounting.refusals(context):
            admission = self.admission.admit(context.known_caller())
            prepared = self._forwarded(context, body, "/v1/messages/count_tokens")
            await admission
            begun = await self.attempts.begin(replace(prepared.call, streamed=False))
        context.response_headers |= anthropic_messages.returned_headers(begun.response.headers)
        return ForwardedBody(begun, self.accounting.nothing_used)

    async def _chat(
        self, context: RequestContext, parse: Callable[[], JSONObject], render: Render | None
    ) -> Reply:
        prepared, account = await self._admit(context, lambda: self._translated(context, parse()))
        begun = await self._begin(account, prepared.call)
        return _chat_reply(context, account, begun, prepared.plan, render)

    async def _admit(
        self, context: RequestContext, prepare: Callable[[], Prepared]
    ) -> tuple[Prepared, Account]:
        """Prepare and admit a request; what is refused here is only counted."""
        with self.accounting.refusals(context):
            # Sent now, awaited when the translation is done: the round trip costs no time.
            admission = self.admission.admit(context.known_caller())
            prepared = prepare()
            await admission
            family = prepared.route.model.family
            passage = self.breaker.enter(f"{self.upstream}/{family}")
            plan = prepared.plan
            asked = Asked(plan.asked_model, plan.stream, prepared.conversation)
            return prepared, self.accounting.open(context, asked, prepared.route, passage)

    def _translated(self, context: RequestContext, body: JSONObject) -> Prepared:
        draft = openai_chat.translate(body)
        route = self.names.resolve(draft.asked_model)
        fitted = fit_to_model(draft, route.model, self.fit_options)
        self._announce(context, route, fitted)
        call = UpstreamCall(
            "/v1/messages",
            wire.dumps(fitted.body),
            _HEADERS,
            route.model.id,
            client_retries=client_retry_count(context.headers),
            repair=repairs_of(fitted),
        )
        return Prepared(fitted.reply, route, call, draft.user_key)

    def _forwarded(self, context: RequestContext, body: bytes, path: str) -> Prepared:
        request = anthropic_messages.read_request(body)
        route = self.names.resolve(request.asked_model)
        self._announce(context, route, None)
        if self.names.catalog.find(request.asked_model) is None:
            body = anthropic_messages.with_model(body, route.model.id)
        call = UpstreamCall(
            path,
            body,
            anthropic_messages.upstream_headers(context.headers),
            route.model.id,
            streamed=request.stream,
            client_retries=client_retry_count(context.headers),
        )
        plan = ReplyPlan(request.asked_model, stream=request.stream)
        return Prepared(plan, route, call, request.user_key)

    def _announce(self, context: RequestContext, route: Route, fitted: Fitted | None) -> None:
        """Set the headers that tell the client what was done with its request."""
        headers = context.response_headers
        headers["X-Routed-Model"] = route.model.id
        headers["X-Model-Source"] = "simulator" if self.from_simulator else route.source
        if route.warning is not None:
            context.set_header("X-Model-Warning", route.warning)
        if fitted is None:
            return
        for name, value in fitted.notes.items():
            context.set_header(name, value)
        if ignored := list(dict.fromkeys(fitted.ignored)):
            context.set_header("X-Gateway-Ignored", ", ".join(ignored))
            for field in ignored:
                self.accounting.metrics.add(series.IGNORED_FIELDS, (field,))

    async def _begin(self, account: Account, call: UpstreamCall) -> Begun:
        try:
            return await self.attempts.begin(call)
        except GatewayError as error:
            account.failed(error)
            raise
        except asyncio.CancelledError:
            account.left()
            raise


def _chat_reply(
    context: RequestContext,
    account: Account,
    begun: Begun,
    plan: ReplyPlan,
    render: Render | None,
) -> Reply:
    """The reply in the form the client asked for, with the events so far already in it."""
    created = int(time.time())
    if plan.stream:
        translator = ChatStream(plan, created, _completion_id(context))
        first = translator.feed(begun.events)
        account.began(translator.meter)
        return StreamedReply(begun, translator, first, account.settle)
    assembler = MessageAssembler()
    assembler.feed(begun.events)
    account.began(assembler.meter)

    def whole(collected: MessageAssembler) -> bytes:
        completion = answer(collected.message, collected.meter, plan, created)
        return wire.dumps(completion if render is None else render(completion))

    return AssembledReply(begun, assembler, whole, account.settle)


def _completion_id(context: RequestContext) -> str:
    return "chatcmpl-" + context.request_id.removeprefix("req_")
