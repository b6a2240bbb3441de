"""The steps every live request takes, from its key to the first event of the upstream."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from gateway import wire
from gateway.catalog.models import Model
from gateway.cohorts import APART
from gateway.context import RequestContext
from gateway.errors import GatewayError, InternalError, PermissionDeniedError
from gateway.pipeline.accounting import Account, Accounting, Asked
from gateway.pipeline.attempts import Attempts, Begun
from gateway.pipeline.conversations import Conversation, Conversations
from gateway.pipeline.fallback import next_model
from gateway.pipeline.known_prefixes import KnownPrefixes
from gateway.pipeline.large_bodies import LargeBodies, is_large
from gateway.pipeline.prepared import Prepare, Prepared, Preparing, Started, upstream_call
from gateway.pipeline.repairs import repairs_of
from gateway.pipeline.reply import Reply
from gateway.pipeline.routing_note import announce_decision, routing_note
from gateway.projects import Projects
from gateway.protocols.messages_form import without_thinking
from gateway.protocols.model_fit import FitOptions, Fitted, fit_to_model
from gateway.protocols.shared.digests import BlockDigests
from gateway.protocols.shared.draft import Draft
from gateway.reduction.ledger import reduction_headers
from gateway.reliability.admission import AdmissionControl, PendingAdmission
from gateway.reliability.limits import LimitReachedError
from gateway.reliability.rate_headers import rate_headers
from gateway.response_cache.question import Keepable, sampling_of
from gateway.routing.names import ModelNames, Route
from gateway.routing.router import Decision, Router, apply_decision, in_place_of
from gateway.routing.variants import apply_variant
from gateway.security.keys import read_key
from gateway.structs import Struct, field, replace
from gateway.telemetry import series
from gateway.turns.conversation import Conversation as TurnConversation
from gateway.turns.conversation import Turns
from gateway.wire import JSONObject

AnyReply = TypeVar("AnyReply", bound=Reply)

Begin = Callable[[RequestContext, Account, Prepared], Awaitable[Started]]
"""Asks for the answer to an admitted request, and tells its account. Raises GatewayError."""

_HEADERS = {
    "anthropic-version": "2023-06-01",
    "content-type": "application/json",
    "accept": "text/event-stream",
}


class LivePipeline(Struct, frozen=True):
    """Serves live requests with the parts it is given; holds no state of its own.

    `upstream` names the upstream for the breaker; `from_simulator` marks every answer as such. The
    pipelines of the protocols take these steps in their own order: their `open_` methods give the
    reply to one request, or raise GatewayError while an HTTP status can still be given.
    """

    projects: Projects
    admission: AdmissionControl
    router: Router
    fit_options: FitOptions
    turns: Turns
    conversations: Conversations
    attempts: Attempts
    accounting: Accounting
    upstream: str
    from_simulator: bool
    prefixes: KnownPrefixes
    large_bodies: LargeBodies = field(default_factory=LargeBodies)

    @property
    def names(self) -> ModelNames:
        """How model names are read."""
        return self.router.names

    def forget(self) -> None:
        """Let go of what was remembered of conversations and is too old."""
        self.prefixes.forget()
        self.conversations.rewriter.forget()

    async def authenticate(self, context: RequestContext) -> None:
        """Find the caller by the key in the headers; before anything else of a request."""
        with self.accounting.refusals(context):
            key = read_key(context.headers)
            context.caller = self.projects.cached(key) or await self.projects.resolve(key)
            if not context.caller.may("chat"):
                raise PermissionDeniedError("this key may not chat")

    async def open(
        self,
        context: RequestContext,
        body: bytes,
        prepare: Prepare,
        begin: Begin,
        reply: Callable[[Account, Started], AnyReply],
    ) -> AnyReply:
        """The reply to a request: what `reply` makes of the answer that `begin` has asked for.

        Without a reply the account is closed, whatever the reason, and the upstream let go of.
        """
        prepared, account = await self._admit(context, body, prepare)
        try:
            return reply(account, await begin(context, account, prepared))
        except GatewayError as error:
            account.failed(error)
            raise
        except asyncio.CancelledError:
            account.left()
            raise
        except Exception:
            account.failed(InternalError("no reply could be made"))
            raise

    async def _admit(
        self, context: RequestContext, body: bytes, prepare: Prepare
    ) -> tuple[Prepared, Account]:
        """Prepare and admit a request; what is refused here is only counted."""
        cohorts = context.cohorts
        await cohorts.enter()
        if is_large(body):
            context.cohorts = APART  # the sooner it is sent, the fewer are held at once
        prepare = self.large_bodies.in_turn(body, prepare)
        with self.accounting.refusals(context):
            # Sent now, awaited when the translation is done: the round trip costs no time.
            admission = self.admission.admit(context.known_caller(), body)
            try:
                await context.cohorts.step()
                prepared = replace(await prepare(None), instead=prepare)
                await context.cohorts.step()
                await self._admitted(context, admission)
                account = self._account(context, prepared)
            except BaseException:
                admission.drop()
                raise
        account.reservation = admission.reservation
        context.cohorts = cohorts
        return prepared, account

    async def admit_free(
        self, context: RequestContext, prepare: Callable[[], Awaitable[Prepared]]
    ) -> Prepared:
        """Prepare and admit a request that uses nothing, such as a count of tokens."""
        admission = self.admission.admit(context.known_caller())
        try:
            prepared = await prepare()
            await self._admitted(context, admission)
        finally:
            admission.drop()
        return prepared

    async def _admitted(self, context: RequestContext, admission: PendingAdmission) -> None:
        """Wait for the admission, and tell the client of its limits whatever they say."""
        try:
            context.response_headers |= rate_headers(await admission)
        except LimitReachedError as error:
            context.response_headers |= rate_headers(error.admission)
            raise

    def _account(self, context: RequestContext, prepared: Prepared) -> Account:
        asked = Asked(
            prepared.plan.asked_model,
            prepared.plan.stream,
            prepared.client_key,
            routing=prepared.routing,
            reduction=prepared.reduction,
            unmarked=prepared.unmarked,
        )
        account = self.accounting.open(context, asked, prepared.route)
        account.on_begin = prepared.remember
        return account

    async def prepared(
        self,
        context: RequestContext,
        draft: Draft,
        how: Preparing,
        instead: Model | None = None,
        digests: BlockDigests | None = None,
    ) -> Prepared:
        """The request of `draft` as it is sent: routed, with its stored turns put back, reduced.

        `instead` serves it in place of the model that would. `digests` of its blocks, where some
        are known, learn those of the others.
        """
        step = context.cohorts.step
        conversation = self.conversations.open(context, draft, digests)
        await step()
        turns = await self._loaded(draft, conversation, how)
        await step()
        decision = self._decided(draft, conversation, how, instead)
        announce_decision(context, decision)
        model = decision.route.model
        if how.thinking_models - {model.id}:
            turns = await self._bare_turns(draft, conversation, how)
        await step()
        apply_variant(draft, decision.route.variant)
        how.adjust(draft)
        apply_decision(draft, decision)
        reduction = await conversation.begin(draft, model)
        await step()
        _put_back(draft, conversation, turns, model)
        await step()
        _rewrite(draft, conversation, turns)
        await step()
        fitted, beta = self._fitted(draft, conversation, turns, model)
        self.announce(context, decision.route, fitted)
        await step()

        def finished(body: JSONObject) -> bytes:
            return wire.dumps(reduction.mark(body, conversation.digests))

        body = finished(fitted.body)
        context.response_headers |= reduction_headers(reduction.report)
        call = replace(
            upstream_call(context, model, "/v1/messages", conversation.id),
            body=body,
            headers=_HEADERS if beta is None else {**_HEADERS, "anthropic-beta": beta},
            repair=repairs_of(fitted, finished, partial(turns.repaired, model=model)),
            joins=not (fitted.reply.stream or how.by_event),
        )
        return Prepared(
            fitted.reply,
            decision.route,
            call,
            client_key=draft.user_key,
            listener=turns,
            remember=conversation.remember,
            routing=routing_note(decision, conversation.seed),
            reduction=reduction.report,
            keepable=Keepable(fitted.body, sampling_of(draft), reduction.report.held_out),
        )

    async def _loaded(
        self, draft: Draft, conversation: Conversation, how: Preparing
    ) -> TurnConversation:
        """Waits for what is known of the conversation, and for its turns; in one round trip."""
        turns = self._open_turns(draft, conversation, how)
        conversation.shared.send()  # beside the admission, which is awaited later
        await conversation.load()
        await turns.load()
        return turns

    def _decided(
        self, draft: Draft, conversation: Conversation, how: Preparing, instead: Model | None
    ) -> Decision:
        """Who serves the request. What stands in for a model is nothing to remember."""
        decision = self.router.decide(draft, conversation.asking(short=how.short))
        if instead is not None:
            return in_place_of(decision, instead)
        conversation.decided(decision)
        return decision

    def _fitted(
        self, draft: Draft, conversation: Conversation, turns: TurnConversation, model: Model
    ) -> tuple[Fitted, str | None]:
        """The draft as the model takes it, and the beta with which the API shortens it."""
        fitted = fit_to_model(draft, model, self.fit_options)
        sent, beta = conversation.reduction.delegate(turns.prepare(fitted.body, model))
        if sent is not fitted.body:
            fitted = replace(fitted, body=sent)
        turns.expect(fitted.reply)
        return fitted, beta

    async def _bare_turns(
        self, draft: Draft, conversation: Conversation, how: Preparing
    ) -> TurnConversation:
        """Takes all thinking out of the draft: another model's would be refused, or dropped without
        a word. What is stored is looked up anew.
        """
        draft.body = without_thinking(draft.body)
        turns = self._open_turns(draft, conversation, how, alone=True)
        await turns.load()
        return turns

    def _open_turns(
        self, draft: Draft, conversation: Conversation, how: Preparing, *, alone: bool = False
    ) -> TurnConversation:
        return self.turns.open(
            conversation.project.id,
            draft.body,
            client_carries=how.client_carries,
            digests=conversation.digests,
            shared=None if alone else conversation.shared,
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

    async def begin(self, context: RequestContext, account: Account, prepared: Prepared) -> Started:
        """The upstream's first good answer, of another model where the project allows that."""
        while True:
            try:
                begun = await self.attempts.begin(prepared.call)
            except GatewayError as error:
                prepared = await self._fallback(context, prepared, error)
                account.on_begin = None  # its prompt cache is not where the next turn looks
            else:
                break
        account.begun = begun
        self._announce_attempts(context, begun)
        return Started(prepared, begun, prepared.listener)

    async def _fallback(
        self, context: RequestContext, prepared: Prepared, error: GatewayError
    ) -> Prepared:
        """The request for the model that follows. Raises `error` when there is none."""
        fallbacks = context.known_caller().project.reliability.fallbacks
        model = next_model(fallbacks, prepared.route.model, error, self.names.catalog)
        if model is None or prepared.instead is None:
            raise error
        try:
            following = replace(await prepared.instead(model), instead=prepared.instead)
        except GatewayError:
            raise error from None  # the other model cannot take it: the first failure is the news
        context.set_header("X-Fallback", f"{prepared.route.model.id}: {error.code}")
        return following

    def _announce_attempts(self, context: RequestContext, begun: Begun) -> None:
        headers = context.response_headers
        if self.attempts.pool.has_choice:
            headers["X-Upstream"] = begun.upstream
        if begun.attempts > 1 or begun.hedged:
            headers["X-Upstream-Attempts"] = str(begun.attempts)


def _put_back(
    draft: Draft, conversation: Conversation, turns: TurnConversation, model: Model
) -> None:
    """Put stored turns back behind the system text that is sent, without the lines that change."""
    draft.body = conversation.reduction.settle(draft.body, conversation.digests)
    turns.settled(draft.body)
    if not conversation.is_logged:
        draft.body["messages"] = turns.restore(model)


def _rewrite(draft: Draft, conversation: Conversation, turns: TurnConversation) -> None:
    """Take the draft through the passes that change what it says."""
    reduction = conversation.reduction
    draft.body = reduction.rewrite(
        draft.body, conversation.digests, turns.fixed, keeps_ids=turns.knows_turns
    )
    turns.rewritten(draft.body["messages"])
    draft.instructions += reduction.instructions
