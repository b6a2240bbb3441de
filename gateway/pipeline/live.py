"""The steps every live request takes, from its key to the first event of the upstream."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from gateway import wire
from gateway.context import RequestContext
from gateway.errors import GatewayError, PermissionDeniedError
from gateway.pipeline.accounting import Account, Accounting, Asked
from gateway.pipeline.attempts import Attempts, Begun, UpstreamCall
from gateway.pipeline.conversations import Conversations
from gateway.pipeline.repairs import repairs_of
from gateway.pipeline.reply import (
    NOBODY,
    AnswerListener,
)
from gateway.projects import Projects
from gateway.protocols.model_fit import FitOptions, Fitted, fit_to_model
from gateway.protocols.shared.draft import Draft, ReplyPlan
from gateway.reliability.admission import AdmissionControl
from gateway.reliability.circuit_breaker import CircuitBreaker
from gateway.reliability.retry import client_retry_count
from gateway.routing.names import ModelNames, Route
from gateway.routing.variants import apply_variant
from gateway.security.keys import read_key
from gateway.telemetry import series
from gateway.turns.conversation import Turns
from gateway.wire import JSONObject

Render = Callable[[JSONObject], JSONObject]

_HEADERS = {
    "anthropic-version": "2023-06-01",
    "content-type": "application/json",
    "accept": "text/event-stream",
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to be sent: how it was read, who serves it, and how to answer.

    `client_key` is the client's own key for the conversation, `messages` what is sent of it;
    `listener` hears the answer; `remember` is told the size of the prompt, in tokens, when the
    upstream begins to answer.
    """

    plan: ReplyPlan
    route: Route
    call: UpstreamCall
    client_key: str | None = None
    messages: list[JSONObject] = field(default_factory=list)
    listener: AnswerListener = NOBODY
    remember: Callable[[int], None] | None = None


@dataclass(frozen=True, slots=True)
class LivePipeline:
    """Serves live requests with the parts it is given; holds no state of its own.

    `upstream` names the upstream for the breaker; `from_simulator` marks every answer as such. The
    pipelines of the protocols take these steps in their own order: their `open_` methods give the
    reply to one request, or raise GatewayError while an HTTP status can still be given.
    """

    projects: Projects
    admission: AdmissionControl
    names: ModelNames
    fit_options: FitOptions
    turns: Turns
    conversations: Conversations
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

    async def admit(
        self, context: RequestContext, prepare: Callable[[], Awaitable[Prepared]]
    ) -> tuple[Prepared, Account]:
        """Prepare and admit a request; what is refused here is only counted."""
        with self.accounting.refusals(context):
            # Sent now, awaited when the translation is done: the round trip costs no time.
            admission = self.admission.admit(context.known_caller())
            prepared = await prepare()
            await admission
            family = prepared.route.model.family
            passage = self.breaker.enter(f"{self.upstream}/{family}")
            plan = prepared.plan
            asked = Asked(plan.asked_model, plan.stream, prepared.client_key)
            account = self.accounting.open(context, asked, prepared.route, passage)
            account.on_begin = prepared.remember
            return prepared, account

    async def prepared(
        self, context: RequestContext, draft: Draft, route: Route, *, client_carries: bool = False
    ) -> Prepared:
        """The request of `draft`, with its stored turns put back, for the model of `route`.

        `client_carries`: the client's protocol has a place for thinking.
        """
        project = context.known_caller().project.id
        # Sent now, beside the admission; what is known of the conversation and its turns comes back
        # in one round trip.
        conversation = self.conversations.open(context, draft)
        digests = conversation.digests
        turns = self.turns.open(
            project,
            draft.body,
            client_carries=client_carries,
            digests=digests,
            shared=conversation.shared,
        )
        conversation.shared.send()
        apply_variant(draft, route.variant)
        await conversation.load()
        await turns.load()
        reduction = await conversation.begin(draft, route.model)
        if not conversation.is_logged:
            draft.body["messages"] = turns.restore(route.model)
        draft.body = reduction.rewrite(draft.body, digests, turns.fixed)
        turns.rewritten(draft.body["messages"])
        draft.instructions += reduction.instructions
        fitted = fit_to_model(draft, route.model, self.fit_options)
        body = turns.prepare(fitted.body, route.model)
        if body is not fitted.body:
            fitted = replace(fitted, body=body)
        turns.expect(fitted.reply)
        self.announce(context, route, fitted)
        delegated, beta = reduction.delegate(fitted.body)
        fitted = replace(fitted, body=delegated)

        def finished(body: JSONObject) -> bytes:
            return wire.dumps(reduction.mark(body, digests))

        call = UpstreamCall(
            "/v1/messages",
            finished(fitted.body),
            _HEADERS if beta is None else {**_HEADERS, "anthropic-beta": beta},
            route.model.id,
            client_retries=client_retry_count(context.headers),
            repair=repairs_of(
                fitted, finished, lambda name, body: turns.repaired(name, body, route.model)
            ),
        )
        messages = fitted.body["messages"]
        return Prepared(
            fitted.reply, route, call, draft.user_key, messages, turns, conversation.remember
        )

    def announce(self, context: RequestContext, route: Route, fitted: Fitted | None) -> None:
        """Set the headers that tell the client what was done with its request."""
        headers = context.response_headers
        headers["X-Routed-Model"] = route.model.id
        headers["X-Model-Source"] = "simulator" if self.from_simulator else route.source
        if route.warning is not None:
            context.set_header("X-Model-Warning", route.warning)
        if route.variant is not None and fitted is not None:
            headers["X-Model-Variant"] = route.variant.shown()
        if fitted is None:
            return
        for name, value in fitted.notes.items():
            context.set_header(name, value)
        if ignored := list(dict.fromkeys(fitted.ignored)):
            context.set_header("X-Gateway-Ignored", ", ".join(ignored))
            for field in ignored:
                self.accounting.metrics.add(series.IGNORED_FIELDS, (field,))

    async def begin(self, account: Account, call: UpstreamCall) -> Begun:
        """The upstream's first good answer; without one the account is closed."""
        try:
            return await self.attempts.begin(call)
        except GatewayError as error:
            account.failed(error)
            raise
        except asyncio.CancelledError:
            account.left()
            raise
