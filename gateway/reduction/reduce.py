"""One request on its way through the passes: what they share, and their order."""

from collections.abc import Callable, Collection

from gateway.catalog.models import Model
from gateway.policies import ReductionPolicy
from gateway.protocols.messages_form import reminder
from gateway.protocols.shared.digests import BlockDigests
from gateway.reduction.cache_plan import (
    Layout,
    Situation,
    count_marks,
    lay_out,
    plan_marks,
    with_marks,
    without_marks,
)
from gateway.reduction.canonical import with_ordinal_ids
from gateway.reduction.compaction import next_watermark
from gateway.reduction.context_cut import ContextCut
from gateway.reduction.context_delegation import Summaries, delegated, is_delegated
from gateway.reduction.continuations import is_worth_writing
from gateway.reduction.lifetime import (
    LONG_SECONDS,
    SHORT_SECONDS,
    Lifetime,
    Pauses,
    choose_lifetime,
)
from gateway.reduction.opening import read_opening
from gateway.reduction.passes import (
    UNTOUCHED,
    Passes,
    chosen_passes,
    everything_allowed,
    recorded_passes,
)
from gateway.reduction.report import ReductionReport, Technique
from gateway.reduction.rewriting import Rewriter, Rewriting, with_system
from gateway.reduction.state import (
    BLOCK_BYTES,
    Beginnings,
    Calls,
    ConversationState,
    Found,
    common_blocks,
    mostly_appends,
    read_calls,
)
from gateway.reduction.volatile import SystemLines
from gateway.structs import Struct, field, replace
from gateway.wire import JSONObject

_FIRST_REQUESTS = 3
_BYTES_PER_TOKEN = 3.6  # of JSON, until the API's usage has told better


class Known(Struct, frozen=True):
    """What is known when a request arrives: of its conversation, and of the request itself.

    `id` names the conversation for good; `now` is in seconds, of the clock of `found.state.at`.
    `cache_ttl` and `cache_explicit` are the client's wishes for cache marks. `one_shot`: nobody is
    going to continue it; else `chance` is how likely somebody is. `held_out`: it goes untouched, to
    prove what the others save. `cut` is where a project has long conversations cut.
    """

    id: str
    now: float
    beginning: Beginnings
    found: Found
    cache_ttl: str | None = None
    cache_explicit: bool = False
    one_shot: bool = False
    held_out: bool = False
    chance: float = 1.0
    cut: ContextCut | None = None


class Reduction(Struct, eq=False):
    """The passes of one request. Created per request; `settle`, `rewrite`, `mark`, then `state`.

    `allowed` tells which passes a conversation that begins now may use. `instructions` are texts
    for the end of the newest user message, once it was rewritten.
    """

    _rewriter: Rewriter
    _policy: ReductionPolicy
    _known: Known
    _model: Model
    has_tools: bool
    allowed: Callable[[Technique], bool] = everything_allowed
    passes: Passes = UNTOUCHED
    instructions: list[str] = field(default_factory=list)
    report: ReductionReport = field(default_factory=ReductionReport)
    _previous: ConversationState | None = None
    _newest_blocks: int = 0
    _has_summary: bool = False
    _lines: SystemLines = field(default_factory=SystemLines)
    _calls: Calls = field(default_factory=Calls)
    _compacted: int = 0
    _layout: Layout | None = None
    _ordinal_ids: bool = False

    def __post_init__(self) -> None:
        known, report = self._known, self.report
        report.conversation, report.held_out = known.id, known.held_out
        self._previous = previous = known.found.state
        if previous is not None:
            self._compacted, self._ordinal_ids = previous.compacted, previous.ordinal_ids
        self.passes = self._chosen()

    def _chosen(self) -> Passes:
        if self._known.held_out:
            return UNTOUCHED
        if self._previous is not None:
            return recorded_passes(self._previous.passes)
        chosen = chosen_passes(self._policy, has_tools=self.has_tools, allowed=self.allowed)
        if is_delegated(self._policy.texts.context, self._model):
            return replace(chosen, context_tokens=0)
        return chosen

    def settle(self, body: JSONObject, digests: BlockDigests) -> JSONObject:
        """The body without the lines of its system text that change, which become instructions.

        The first step: thinking of earlier turns is bound to the system text that was sent.
        """
        system = body.get("system")
        if not self.passes.volatile_lines or not system:
            return body
        before = self._previous.lines if self._previous is not None else None
        settled = self._rewriter.settle(system, before, digests)
        self._lines = settled.known
        if settled.moved:
            self.report.moved_lines = len(settled.moved)
            self.instructions.append(reminder("\n".join(settled.moved)))
        return with_system(body, settled.blocks) if settled.blocks is not system else body

    def rewrite(
        self,
        body: JSONObject,
        digests: BlockDigests,
        fixed: Collection[int] = (),
        *,
        keeps_ids: bool = False,
    ) -> JSONObject:
        """The body with the content passes done; the same object when nothing was changed.

        `fixed` are the `id()`s of blocks that the gateway itself has put into the messages.
        `keeps_ids`: calls are known to have their first ids, and thinking may be bound to them.
        """
        if not self._known.held_out:
            body = self._rewritten(body, digests, fixed, keeps_ids=keeps_ids)
        self._newest_blocks = _newest_user_blocks(body)
        return body

    def _rewritten(
        self, body: JSONObject, digests: BlockDigests, fixed: Collection[int], *, keeps_ids: bool
    ) -> JSONObject:
        is_answered = bool(self._known.beginning.ends)
        opening = None
        if self._previous is None:
            opening = read_opening(body, fixed)
            self.passes = self._rewriter.settled(self.passes, opening, digests)
        if self._policy.cache.client_marks == "replace" and count_marks(body):
            body = without_marks(body)
        if opening and not is_answered and self._rewriter.leaves_alone(self.passes, opening):
            return body
        # Before the first answer there are neither calls nor summaries to look for.
        if keeps_ids:
            self._ordinal_ids = False
        elif is_answered:
            self._compare_ids(body["messages"], digests)
        if is_answered:
            self._has_summary = digests.walk(body["messages"], Summaries()).found
        self._move_watermark(body["messages"])
        if self._ordinal_ids:
            body = {**body, "messages": with_ordinal_ids(body["messages"])}
        return self._rewriter.rewrite(self._rewriting(body, digests, fixed))

    def _compare_ids(self, messages: list[JSONObject], digests: BlockDigests) -> None:
        """See whether the client gives the calls of its history other ids than before.

        Only in the first requests of a conversation, and where the history does not begin with that
        of the previous request, word for word.
        """
        previous, old_messages = self._previous, self._known.found.old_messages
        if (
            previous is not None
            and previous.requests >= _FIRST_REQUESTS
            and previous.known_messages == old_messages
        ):
            return
        known = previous.known_messages if previous is not None else 0
        self._calls, before = read_calls(messages, digests, known)
        if previous is None or not previous.calls.shape or self._ordinal_ids:
            return
        self._ordinal_ids = (
            before.shape == previous.calls.shape and before.first_id != previous.calls.first_id
        )

    def _move_watermark(self, messages: list[JSONObject]) -> None:
        """Shorten more of the old results, now that the cache has expired anyway.

        Of a history that the client has rewritten only what is known to be old counts as such: no
        result may be shortened before it was seen.
        """
        previous = self._previous
        self._compacted = min(self._compacted, self._known.found.old_messages)
        if self.passes.cold_compaction and previous is not None:
            pause = self._known.now - previous.at
            lives = LONG_SECONDS if previous.lifetime == "1h" else SHORT_SECONDS
            self._compacted = next_watermark(self._compacted, messages, pause, lives)

    def _rewriting(
        self, body: JSONObject, digests: BlockDigests, fixed: Collection[int]
    ) -> Rewriting:
        previous = self._previous
        return Rewriting(
            body=body,
            passes=self.passes,
            fixed=fixed,
            digests=digests,
            old_messages=self._known.found.old_messages,
            compacted=self._compacted,
            report=self.report,
            cut=self._known.cut,
            summary=previous.summary if previous is not None else None,
        )

    def delegate(self, body: JSONObject) -> tuple[JSONObject, str | None]:
        """The body that leaves shortening to the API where it may, and the beta that needs."""
        if self._known.held_out:
            return body, None
        context = self._policy.texts.context
        return delegated(body, context, self._model, has_summary=self._has_summary)

    def mark(self, body: JSONObject, digests: BlockDigests) -> JSONObject:
        """The body to send, with cache marks: the last step, after everything else is settled."""
        layout = self._layout = lay_out(body, digests)
        self.report.sent_chars = layout.size
        removed = sum(effect.removed_chars for effect in self.report.effects)
        self.report.plain_chars = layout.size + removed
        previous, shared = self._previous, None
        if previous is not None:
            shared = common_blocks(previous.blocks, layout.digests)
            whole = shared * BLOCK_BYTES == len(previous.blocks)
            self.report.appends = whole and previous.setting == layout.setting
        self.report.marks = layout.marked
        if self._wants_marks(layout):
            body = self._marked(body, layout, shared)
        return body

    def _wants_marks(self, layout: Layout) -> bool:
        cache, known = self._policy.cache, self._known
        if not cache.enabled or known.one_shot or known.held_out:
            return False
        if layout.size < self._model.cache_minimum_tokens * self._bytes_per_token():
            return False  # the API keeps nothing so short
        only_theirs = cache.client_marks == "keep" and layout.marked > 0
        return not (known.cache_explicit or only_theirs)

    def _marked(self, body: JSONObject, layout: Layout, shared: int | None) -> JSONObject:
        previous = self._previous
        if previous is not None and previous.setting != layout.setting:
            shared = 0  # nothing behind other tools or another system text can be read
            if not self._appends():
                return body
        situation = Situation(
            shared=shared,
            appends=self._appends(),
            trailing=max(0, _newest_user_blocks(body) - self._newest_blocks),
            bytes_per_token=self._bytes_per_token(),
        )
        marks = plan_marks(body, layout, situation, self._model)
        lifetime = self._lifetime(layout, shared)
        if marks.count:
            self.report.marks += marks.count
            self.report.lifetime = lifetime
        return with_marks(body, layout, marks, lifetime)

    def _appends(self) -> bool:
        """True when the next request is likely to begin with all of this one."""
        if self._previous is None:
            is_first = not self._known.beginning.ends
            return not is_first or is_worth_writing(self._known.chance, self._model.price)
        return bool(self.report.appends) or mostly_appends(*self._counts())

    def _lifetime(self, layout: Layout, shared: int | None) -> Lifetime:
        wished = self._policy.cache.lifetime
        if wished != "auto":
            return wished
        if self._known.cache_ttl == "1h":
            return "1h"
        old = layout.ends[shared - 1] if shared else 0
        per_token = self._bytes_per_token()
        chats = not self.has_tools and self._appends()
        return choose_lifetime(
            self._pauses(),
            old / per_token,
            (layout.size - old) / per_token,
            self._model.price,
            chats=chats,
        )

    def _pauses(self) -> Pauses:
        previous = self._previous
        if previous is None:
            return Pauses()
        return previous.pauses.after(self._known.now - previous.at)

    def _bytes_per_token(self) -> float:
        previous = self._previous
        if previous is not None and previous.bytes_per_token:
            return previous.bytes_per_token
        return _BYTES_PER_TOKEN

    def _counts(self) -> tuple[int, int]:
        """The conversation's requests with this one, and how many continued the one before."""
        previous = self._previous
        if previous is None:
            return 1, 0
        return previous.requests + 1, previous.extended + bool(self.report.appends)

    def state(self, prompt_tokens: int, choice: JSONObject | None = None) -> ConversationState:
        """What to remember, now that the API has counted the prompt (0: it has not).

        `choice` is how the conversation is routed.
        """
        known, layout = self._known, self._layout
        requests, extended = self._counts()
        bytes_per_token = self._bytes_per_token()
        if layout is None or not prompt_tokens:
            prompt_tokens = 0
        else:
            bytes_per_token = layout.size / prompt_tokens
        return ConversationState(
            id=known.id,
            at=known.now,
            setting=layout.setting if layout is not None else b"",
            blocks=layout.digests if layout is not None else b"",
            known_messages=known.beginning.messages,
            question=known.beginning.question,
            passes=self.passes.as_json(),
            lines=self._lines,
            calls=self._calls,
            lifetime=self.report.lifetime,
            held_out=known.held_out,
            summary=known.cut.record if known.cut is not None else None,
            compacted=self._compacted,
            ordinal_ids=self._ordinal_ids,
            bytes_per_token=bytes_per_token,
            prompt_tokens=prompt_tokens,
            choice=choice,
            requests=requests,
            extended=extended,
            pauses=self._pauses(),
        )


def _newest_user_blocks(body: JSONObject) -> int:
    """How many blocks the newest user message has."""
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            return len(message["content"])
    return 0
