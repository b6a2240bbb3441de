"""The conversation of a request: found again, taken through the passes, remembered."""

import hashlib
import time
from collections.abc import Callable

from gateway.catalog.models import Model
from gateway.context import Caller, RequestContext
from gateway.pipeline.client_identity import client_conversation_key, client_family
from gateway.pipeline.summary_requests import SummaryRequests
from gateway.policies import ReductionPolicy
from gateway.protocols.shared.digests import BlockDigests
from gateway.protocols.shared.draft import Draft
from gateway.reduction.append_log import continued_log, size_of
from gateway.reduction.cache_plan import bare_messages
from gateway.reduction.context_cut import ContextCut, ContextCuts
from gateway.reduction.continuations import Continuations
from gateway.reduction.holdout import is_held_out
from gateway.reduction.lifetime import SHORT_SECONDS
from gateway.reduction.log_store import Log, LogStore
from gateway.reduction.pass_guard import PassGuard
from gateway.reduction.passes import everything_allowed
from gateway.reduction.reduce import Known, Reduction
from gateway.reduction.report import Technique
from gateway.reduction.rewriting import Rewriter
from gateway.reduction.state import (
    Beginnings,
    ConversationState,
    Found,
    beginnings,
    choose_previous,
    lookup_keys,
    storage_keys,
)
from gateway.reduction.state_store import StateLookup, StateStore
from gateway.routing.router import Asking, Decision
from gateway.routing.stickiness import Sticky
from gateway.storage.shared_lookup import SharedLookup
from gateway.storage.valkey import Valkey
from gateway.structs import Struct, field
from gateway.wire import JSONObject

_BENCH_TIME = "x-bench-time"


class Conversations(Struct, frozen=True):
    """Opens the conversation of each request; stores are asked through `valkey`.

    `bench_clock` lets a request bring its own time, for replays of recorded conversations.
    """

    valkey: Valkey
    states: StateStore
    logs: LogStore
    rewriter: Rewriter
    cuts: ContextCuts
    summaries: SummaryRequests | None = None
    guard: PassGuard | None = None
    continuations: Continuations = field(default_factory=Continuations)
    bench_clock: bool = False
    clock: Callable[[], float] = time.time

    def open(
        self, context: RequestContext, draft: Draft, digests: BlockDigests | None = None
    ) -> "Conversation":
        """The conversation of a draft, before any pass; what is known of it is asked for now.

        `digests` are those of its blocks that are known.
        """
        caller = context.known_caller()
        project = caller.project
        digests = BlockDigests() if digests is None else digests
        key = client_conversation_key(context, draft.user_key)
        beginning = beginnings(draft.body["messages"], digests)
        shared = SharedLookup(self.valkey)
        keys = lookup_keys(beginning, key)
        lookup = self.states.look_up(project.id, keys, shared) if keys else None
        context_policy = project.reduction.texts.context
        cut = None
        if context_policy.max_tokens:
            messages = draft.body["messages"]
            cut = self.cuts.open(project.id, messages, context_policy, digests, shared)
        client = client_family(context)
        opened = _Opened(caller, self._now(context), beginning, key, client, lookup, cut)
        return Conversation(self, opened, digests, shared)

    def _now(self, context: RequestContext) -> float:
        if self.bench_clock and _BENCH_TIME in context.headers:
            try:
                return float(context.headers[_BENCH_TIME])
            except ValueError:
                pass
        return self.clock()


class _Opened(Struct, frozen=True):
    """Who asks, when, and how the conversation is looked for."""

    caller: Caller
    now: float
    beginning: Beginnings
    client_key: str | None
    client: str
    lookup: StateLookup | None
    cut: ContextCut | None


class Conversation:
    """The conversation of one request. `load`, `begin`, then what `reduction` does; `remember`.

    From `load` on, `id` names the conversation for good: 32 hex digits, and `seed` is the same in
    bytes. `digests` are those of the request's blocks. `shared` takes what else is to be looked up
    with the same round trip; it has to be sent before `load`.
    """

    def __init__(
        self,
        conversations: Conversations,
        opened: _Opened,
        digests: BlockDigests,
        shared: SharedLookup,
    ) -> None:
        self._conversations = conversations
        self._opened = opened
        self._beginning, self._cut = opened.beginning, opened.cut
        self.project = opened.caller.project
        self.digests = digests
        self.shared = shared
        self._found = Found()
        self.id = ""
        self.seed = b""
        self._log: list[JSONObject] | None = None
        self._choice: Sticky | None = None
        self._is_one_shot = False
        self.reduction: Reduction

    async def load(self) -> None:
        """Waits for what is known; at most one Valkey round trip. Never raises."""
        if self._opened.lookup is not None:
            self._found = choose_previous(self._beginning, await self._opened.lookup.found())
        self.id = self._identity()
        self.seed = bytes.fromhex(self.id)
        if self._cut is not None:
            await self._cut.load()

    def _identity(self) -> str:
        if self._found.state is not None:
            return self._found.state.id
        name = self._opened.client_key or self._beginning.whole.hex()
        seed = f"{self.project.id}\x00{name}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(seed).hexdigest()[:32]

    @property
    def is_logged(self) -> bool:
        """True when the messages sent are those of the append log, not the client's own."""
        return self._log is not None

    def asking(self, *, short: bool) -> Asking:
        """What the router must know of the conversation."""
        previous = self._found.state
        sticky, cached = None, 0
        if previous is not None:
            sticky = Sticky.from_dict(previous.choice or {})
            is_warm = self._opened.now - previous.at <= SHORT_SECONDS or previous.lifetime == "1h"
            cached = previous.prompt_tokens if is_warm else 0
        return Asking(self.project, self.seed, sticky, cached, short)

    def decided(self, decision: Decision) -> None:
        """How this request is routed."""
        self._choice = decision.sticky
        self._is_one_shot = decision.task_class == "one_shot"

    async def begin(
        self, draft: Draft, model: Model, policy: ReductionPolicy | None = None
    ) -> Reduction:
        """The passes of this request, by the project's policy unless another one is given.

        A project that keeps append logs may have the messages of `draft` replaced by those of the
        log.
        """
        seed, policy = self.seed, policy or self.project.reduction
        known = Known(
            id=self.id,
            now=self._opened.now,
            held_out=self._is_held_out(seed, policy.holdout_share),
            beginning=self._beginning,
            found=self._found,
            cache_ttl=draft.cache_ttl,
            cache_explicit=draft.cache_explicit,
            one_shot=self._is_one_shot,
            cut=self._cut,
            chance=self._conversations.continuations.chance(self.project.id, self._opened.client),
        )
        self.reduction = Reduction(
            self._conversations.rewriter,
            policy,
            known,
            model,
            has_tools=bool(draft.body.get("tools")),
            allowed=self._judged(seed),
        )
        if self.reduction.passes.append_log and not self.reduction.has_tools:
            await self._continue_log(draft)
        return self.reduction

    def _is_held_out(self, seed: bytes, share: float) -> bool:
        """What was decided when the conversation began."""
        if self._found.state is not None:
            return self._found.state.held_out
        return is_held_out(seed, self.project.id, share)

    def _judged(self, seed: bytes) -> Callable[[Technique], bool]:
        """Tells which passes a conversation that begins now may use."""
        guard = self._conversations.guard
        if guard is None or guard.allows_everything:
            return everything_allowed
        project, client = self.project.id, self._opened.client
        return lambda technique: guard.allowed(project, client, technique, seed)

    async def _continue_log(self, draft: Draft) -> None:
        """Put the log in the place of the client's messages, or begin one with these."""
        messages: list[JSONObject] = draft.body["messages"]
        self._log = messages
        previous, old = self._found.state, self._found.old_messages
        if previous is None or not self._is_continued(previous):
            return  # another conversation that begins alike
        log = await self._conversations.logs.get(
            self.project.id, self._opened.caller.key_id, previous
        )
        if log is None:
            return
        if old and (log.said, old) in self._beginning.ends:
            continued: list[JSONObject] | None = [*log.messages, *messages[old:]]
        else:
            continued = continued_log(log.messages, messages, self.digests)
        if continued is not None:
            self._log = continued
            added = size_of(continued, self.digests) - size_of(messages, self.digests)
            self.reduction.report.note("append_log", -added, 0)
            draft.body = {**draft.body, "messages": continued}

    def _is_continued(self, previous: ConversationState) -> bool:
        """True when this request goes on with what was asked in the one that left that state."""
        return bool(self._beginning.ends) and previous.question in self._beginning.questions

    def remember(self, prompt_tokens: int) -> None:
        """Keep what is known now that the upstream has begun to answer. Never waits.

        A call that nobody continues leaves nothing, so that it stands in no conversation's place.
        """
        if self._is_one_shot:
            return
        choice = self._choice.to_dict() if self._choice is not None else None
        state = self.reduction.state(prompt_tokens, choice)
        continuations = self._conversations.continuations
        if state.requests == 2:
            continuations.continued(self.project.id, self._opened.client)
        elif not self._beginning.ends:
            continuations.begun(self.project.id, self._opened.client)
        keys = storage_keys(
            self._beginning,
            self._opened.client_key,
            state,
            may_rewrite=not self.reduction.has_tools,
        )
        self._conversations.states.save(self.project.id, keys, state)
        if self._cut is not None:
            self._cut.remember()
            summaries = self._conversations.summaries
            is_cut = self.reduction.passes.context_tokens > 0
            if summaries is not None and is_cut and self._cut.wanted is not None:
                summaries.want(self.project.id, *self._cut.wanted)
        if self._log is not None:
            # The client's marks were for that request: they would add up, and not stay in order.
            log = Log(self._beginning.whole, bare_messages(self._log))
            self._conversations.logs.save(self.project.id, self._opened.caller.key_id, state, log)
