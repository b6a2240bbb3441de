"""The cut of one request, from finding it to what must be remembered of it.

found = cuts.open(project, messages, policy, digests, shared)   the client's messages, before
...                                                             anything; asks with `shared`
await found.load()                                              beside the other look-ups
pruned = found.prune(restored, recorded)                        with turns put back, before any
...                                                             other pass; `found.record`
found.remember()                                                when the upstream has begun
if found.wanted is not None: requests.want(project, *found.wanted)
"""

from collections.abc import Sequence
from typing import NamedTuple

from gateway.policies import ContextPolicy
from gateway.protocols.shared.digests import BlockDigests
from gateway.reduction.context_extract import ExtractCache
from gateway.reduction.context_summary import (
    SummaryLookup,
    SummaryStore,
    choose_summary,
    declared,
    summary_key,
)
from gateway.reduction.context_tokens import estimated_tokens
from gateway.reduction.context_window import (
    NO_CUTS,
    Cut,
    Cuts,
    Pruned,
    apply_cut,
    find_cuts,
    summary_chars,
)
from gateway.storage.shared_lookup import SharedLookup
from gateway.wire import JSONObject


class WantedSummary(NamedTuple):
    """A summary to be prepared: its key, what it stands for, and how long it may be."""

    key: str
    messages: Sequence[JSONObject]
    max_chars: int


class ContextCuts:
    """Opens the cut of each request. One per process: it remembers extracts, for speed only."""

    def __init__(self, summaries: SummaryStore) -> None:
        self.summaries = summaries
        self.extracts = ExtractCache()

    def open(
        self,
        project: str,
        messages: Sequence[JSONObject],
        policy: ContextPolicy,
        digests: BlockDigests,
        shared: SharedLookup,
    ) -> "ContextCut":
        """The cut that a client's messages have led to; its summary is asked for with `shared`.

        Every strategy but "model" cuts with extracts here; whether the API does it instead, see
        `context_delegation`.
        """
        cuts = find_cuts(messages, policy.max_tokens, estimated_tokens)
        found = ContextCut(self, project, messages, policy, cuts)
        if cuts is not NO_CUTS:
            found.look_up(digests, shared)
        return found


class ContextCut:
    """The cut of one request; created per request. Methods are called in the order above.

    `cut` is None for a conversation that is not cut. `record` is to be kept with the conversation,
    for `prune` to be told with its next request. `wanted` is the summary the next cut will need.
    """

    def __init__(
        self,
        cuts: ContextCuts,
        project: str,
        messages: Sequence[JSONObject],
        policy: ContextPolicy,
        found: Cuts,
    ) -> None:
        self._cuts = cuts
        self._project = project
        self._messages = messages
        self._by_model = policy.strategy == "model"
        self._max_chars = summary_chars(policy.max_tokens)
        self._upcoming = found.upcoming
        self._key = ""
        self._lookup: SummaryLookup | None = None
        self._summary: str | None = None
        self._uses_summary = False
        self.cut: Cut | None = found.current
        self.record: str | None = None
        self.wanted: WantedSummary | None = None

    def look_up(self, digests: BlockDigests, shared: SharedLookup) -> None:
        """Name what is looked for and what is wanted; nothing is sent yet."""
        if self.cut is not None:
            self._key = summary_key(self._project, self._messages, self.cut.start, digests)
            if self._by_model:
                summaries = self._cuts.summaries
                self._lookup = summaries.look_up(self._project, self._key, shared)
        if self._by_model and self._upcoming is not None:
            key = summary_key(self._project, self._messages, self._upcoming, digests)
            removed = self._messages[self._head() : self._upcoming]
            self.wanted = WantedSummary(key, removed, self._max_chars)

    def _head(self) -> int:
        """How many messages stand before the first answer; a cut keeps them."""
        return next(
            index for index, each in enumerate(self._messages) if each["role"] == "assistant"
        )

    async def load(self) -> None:
        """Waits for the summary, if one was asked for. Never raises."""
        if self._lookup is not None:
            self._summary = await self._lookup.found()

    def prune(self, messages: list[JSONObject], recorded: str | None) -> Pruned:
        """The messages to send; `recorded` is the `record` of the conversation's last request.

        `messages` are the client's, or the same with turns put back.
        """
        cut = self.cut
        if cut is None:
            self.record = recorded
            return Pruned(messages)
        summary, self.record = choose_summary(self._key, recorded, self._summary)
        self._uses_summary = summary is not None
        if summary is not None:
            return apply_cut(messages, cut, declared(summary, cut.removed_messages))
        removed = self._messages[cut.head : cut.start]
        return apply_cut(
            messages, cut, self._cuts.extracts.get(self._key, removed, self._max_chars)
        )

    def remember(self) -> None:
        """Have the summary in use kept for longer. Never waits."""
        if self._uses_summary:
            self._cuts.summaries.used(self._project, self._key)
