"""Long conversations are cut in rare, deep steps, and what is left out is declared in its place.

A cut changes what was sent before, which costs the whole prompt cache, so there must be few: one
is made when a request outgrows the limit, it leaves about half, and then the conversation only
grows again until the limit is reached once more. Nothing is remembered for this. The requests of a
conversation are the beginnings of its messages before each answer, so going through them once shows
every cut that earlier requests have led to, at the same places on every turn.

The place of a cut is settled at 70 % of the limit, some requests before the cut is made: a summary
of what is going to go can be prepared in the meantime.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate

from gateway.policies import ContextPolicy
from gateway.protocols.messages_form import NO_ANSWER, THINKING_BLOCKS, text_block
from gateway.reduction.context_extract import extract
from gateway.reduction.context_tokens import text_chars
from gateway.structs import Struct
from gateway.wire import JSONObject

Estimate = Callable[[JSONObject], int]
"""Tokens of a content block; must give the same on every turn, and 0 for thinking."""

KEPT_ROUNDS = 3
"""So many of the newest answers, with their calls' results, are never cut off."""

_PLAN_AT = 0.7
_LEFT_BY_CUT = 0.5
_STILL_DEEP = 0.6  # a planned cut that leaves more is made elsewhere
_LEAST_REMOVED = 0.25  # by one cut: a shallower one would soon have to be repeated
_SUMMARY_SHARE = 8  # the summary has this part of the limit
_SUMMARY_CHARS_PER_TOKEN = 3


class Cut(Struct, frozen=True):
    """The messages from `head` up to `start` are left out.

    `made_at` is the number of messages of the first request that was cut here: thinking before it
    belongs to another conversation. `joins`: the first message after the cut is the user's and
    becomes part of the last one before it.
    """

    head: int
    start: int
    made_at: int
    joins: bool

    @property
    def removed_messages(self) -> int:
        """How many messages are left out."""
        return self.start - self.head

    def moved(self, message: int) -> int:
        """The place after the cut of what was message number `message`.

        What was left out is where its summary is.
        """
        if message < self.start:
            return min(message, self.head - 1)
        return message - self.removed_messages - self.joins


class Cuts(Struct, frozen=True):
    """What going through a conversation has shown.

    `current` is the cut that holds for its newest request; `upcoming` the first message that the
    next cut is going to keep, as soon as that is settled.
    """

    current: Cut | None = None
    upcoming: int | None = None


NO_CUTS = Cuts()


class Pruned(Struct, frozen=True):
    """Messages after a cut. `cut_message` is the place of the message that declares it."""

    messages: list[JSONObject]
    removed_chars: int = 0
    cut_message: int | None = None


def prune(messages: list[JSONObject], policy: ContextPolicy, estimate: Estimate) -> Pruned:
    """The messages within the limit, with an extract of what was left out.

    `find_cuts` and `apply_cut` in one, for messages nothing was put back into.
    """
    cut = find_cuts(messages, policy.max_tokens, estimate).current
    if cut is None:
        return Pruned(messages)
    removed = messages[cut.head : cut.start]
    return apply_cut(messages, cut, extract(removed, summary_chars(policy.max_tokens)))


def summary_chars(max_tokens: int) -> int:
    """How long a summary may be."""
    return max_tokens // _SUMMARY_SHARE * _SUMMARY_CHARS_PER_TOKEN


def find_cuts(messages: Sequence[JSONObject], max_tokens: int, estimate: Estimate) -> Cuts:
    """Where a conversation is cut; `messages` are those of the client, before anything else."""
    if max_tokens <= 0:
        return NO_CUTS
    walk = _Walk(messages, max_tokens, estimate)
    if walk.total <= max_tokens * _PLAN_AT:
        return NO_CUTS
    return walk.cuts()


class _Walk:
    """Goes through the requests of one conversation."""

    def __init__(self, messages: Sequence[JSONObject], max_tokens: int, estimate: Estimate) -> None:
        self._messages = messages
        self._limit = max_tokens
        sizes = (sum(map(estimate, message["content"])) for message in messages)
        self._sums = list(accumulate(sizes, initial=0))
        self._answers = [
            index for index, message in enumerate(messages) if message["role"] == "assistant"
        ]
        self._head = self._answers[0] if self._answers else len(messages)
        self._start = self._head
        self._made_at = 0
        self._joins = False

    @property
    def total(self) -> int:
        """The size of the whole conversation."""
        return self._sums[-1]

    def cuts(self) -> Cuts:
        """The cut that holds at the end, and the next one's place."""
        if not self._head:
            return NO_CUTS  # nobody has asked anything
        starts = [self._round_start(answer) for answer in self._answers[1:]]
        planned: int | None = None
        for end in [*self._answers[1:], len(self._messages)]:
            size = self._size(self._start, end)
            if planned is None and size > self._limit * _PLAN_AT:
                growth = max(0.0, self._limit - size)
                planned = self._choose(starts, end, self._limit * _LEFT_BY_CUT - growth)
            if size > self._limit:
                self._cut(starts, planned, end)
                planned = None
        if self._start == self._head:
            return Cuts(None, planned)
        return Cuts(Cut(self._head, self._start, self._made_at, self._joins), planned)

    def _round_start(self, answer: int) -> int:
        """Where the round of an answer begins: at what a person asked, if one did."""
        messages = self._messages
        before = answer - 1
        if messages[before]["role"] == "system":
            before -= 1
        asked = messages[before]["role"] == "user" and all(
            block["type"] != "tool_result" for block in messages[before]["content"]
        )
        # Behind a system message only an answer may stand.
        can_join = messages[self._head - 1]["role"] == "user"
        return before if asked and can_join else answer

    def _size(self, start: int, end: int) -> int:
        """The size of the request of the first `end` messages, cut at `start`."""
        if start == self._head:
            return self._sums[end]
        summary = self._limit // _SUMMARY_SHARE
        return self._sums[self._head] + summary + self._sums[end] - self._sums[start]

    def _choose(self, starts: list[int], end: int, room: float) -> int | None:
        """The first place from which on no more than `room` is left, else the last one allowed."""
        answers_before = bisect_left(self._answers, end)
        allowed = answers_before - KEPT_ROUNDS
        if allowed <= 0 or starts[allowed - 1] <= self._start:
            return None
        fits = partial(self._fits, end=end, room=room)
        index = bisect_left(starts, True, 0, allowed - 1, key=fits)
        return max(starts[index], self._start)

    def _fits(self, start: int, end: int, room: float) -> bool:
        return self._size(start, end) <= room

    def _cut(self, starts: list[int], planned: int | None, end: int) -> None:
        if planned is None or self._size(planned, end) > self._limit * _STILL_DEEP:
            planned = self._choose(starts, end, self._limit * _LEFT_BY_CUT)
        if planned is None:
            return
        removed = self._size(self._start, end) - self._size(planned, end)
        if removed >= self._limit * _LEAST_REMOVED:
            self._start, self._made_at = planned, end
            self._joins = self._messages[planned]["role"] == "user"


def apply_cut(messages: list[JSONObject], cut: Cut, summary: str) -> Pruned:
    """The messages with `summary` in the place of those that are left out.

    `messages` may be those of `find_cuts` with turns put back. Messages behind the cut stay the
    same objects, but for those from before it was made that had thinking.
    """
    notice = text_block(summary)
    kept = [
        _without_thinking(message) if index < cut.made_at else message
        for index, message in enumerate(messages[cut.start :], cut.start)
    ]
    added = [notice]
    if cut.joins:
        added += kept.pop(0)["content"]
    place = cut.head - 1
    while messages[place]["role"] != "user":
        place -= 1
    asked = messages[place]
    opening = {**asked, "content": [*asked["content"], *added]}
    result = [*messages[:place], opening, *messages[place + 1 : cut.head], *kept]
    removed = sum(
        text_chars(block)
        for message in messages[cut.head : cut.start]
        for block in message["content"]
    )
    return Pruned(result, removed - len(summary), place)


def _without_thinking(message: JSONObject) -> JSONObject:
    content = message["content"]
    if message["role"] != "assistant":
        return message
    kept = [block for block in content if block["type"] not in THINKING_BLOCKS]
    if len(kept) == len(content):
        return message
    return {**message, "content": kept or [text_block(NO_ANSWER)]}
