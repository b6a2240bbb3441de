"""Puts stored turns back into a history, where that is legal. Pure.

Newer models bind a thinking block to everything before it: tools, system text, messages, thinking
of earlier turns included, as far as that was sent. A block is legal exactly when the same
conversation stands before it again. So each stored turn knows which turns had been put back into
the request it answers (`Turn.after`, a chain back to the first). Restoring looks for the newest
turn whose own conversation can be rebuilt, and rebuilds that: the bytes are those of an earlier
request, which keeps the prompt cache as well. What comes after it goes without thinking.

Older models bind nothing. They want the thinking of a tool loop complete or not at all.

Thinking that the client carried itself stands in its messages already. It is used where no stored
turn is, as long as every turn before it is put back too; where a seal of ours says what it was made
from, that is checked before it is sent.
"""

from collections.abc import Mapping
from typing import Literal

from gateway.catalog.models import Model
from gateway.protocols.messages_form import NO_ANSWER, text_block
from gateway.structs import Struct
from gateway.turns.digests import without_thinking
from gateway.turns.history import History
from gateway.turns.turn import Turn
from gateway.wire import JSONObject

_MOST_TRIES = 32  # a rebuilt conversation fails only when turns were lost; an older one may do

Reason = Literal["", "refused", "changed", "missing", "other_model"]


class PutBack(Struct, frozen=True):
    """A turn that was put back: the message as it goes upstream, and as it came.

    `turn` is None for thinking the client carried. `mark` is the digest of `message`; `prefix` that
    of the conversation it was made in, None when that is not known.
    """

    ordinal: int
    message: JSONObject
    bare: JSONObject
    mark: bytes
    prefix: bytes | None
    turn: Turn | None


class Restored(Struct, frozen=True):
    """A history with its turns put back.

    `thinking_kept` is False when a turn that is known goes without its thinking; `reason` says why:
    the API had refused this conversation's thinking, the client changed something before the turn,
    an earlier turn is lost, or another model made it.
    """

    messages: list[JSONObject]
    thinking_kept: bool
    reason: Reason
    put_back: tuple[PutBack, ...]
    history: History

    def added_blocks(self) -> set[int]:
        """The `id()` of each block that was put back at the end of a user message."""
        turns = (each.turn for each in self.put_back)
        return {id(block) for turn in turns if turn is not None for block in turn.added}


def restore(history: History, found: Mapping[str, Turn], model: Model) -> Restored:
    """The messages for `model`, with the turns of `found` (by their keys) put back."""
    known = _Known(history, found, model)
    if known.refused:
        chosen: list[int] = []
    elif model.preserved_thinking:
        chosen = _rebuilt(known)
    else:
        chosen = _complete_loops(known)
    return _apply(known, chosen)


class _Known:
    """What is known of each assistant message; `usable` are those that could be put back."""

    def __init__(self, history: History, found: Mapping[str, Turn], model: Model) -> None:
        self.history = history
        self.turns: dict[int, Turn] = {}
        self.usable: dict[int, PutBack] = {}
        self.plain: set[int] = set()
        self.lost_to: Reason = ""
        self.refused = False
        for ordinal, place in enumerate(history.places):
            turn = found.get(place.key)
            if turn is None:
                self._take_carried(ordinal)
            else:
                self.refused = self.refused or turn.refused
                self._take(ordinal, turn, model)

    def bare(self, ordinal: int) -> JSONObject:
        """The message as the client sent it, without thinking."""
        message = self.history.messages[self.history.places[ordinal].index]
        content = without_thinking(message["content"])
        if content is message["content"]:
            return message
        return {**message, "content": content or [text_block(NO_ANSWER)]}

    def _take(self, ordinal: int, turn: Turn, model: Model) -> None:
        if turn.seen != self.history.places[ordinal].seen:
            self.lost_to = self.lost_to or "changed"
        elif not turn.content:
            self.plain.add(ordinal)
        elif _summarises(turn) and turn.client != self.history.client(self.history.places[ordinal]):
            # The API reads nothing before its own summary: not even what the client has changed.
            self.lost_to = self.lost_to or "changed"
        elif turn.model != model.id:
            self.lost_to = self.lost_to or "other_model"
        else:
            message = {"role": "assistant", "content": turn.content}
            self.turns[ordinal] = turn
            self.usable[ordinal] = PutBack(
                ordinal, message, self.bare(ordinal), turn.mark, turn.prefix, turn
            )

    def _take_carried(self, ordinal: int) -> None:
        bare = self.bare(ordinal)
        message = self.history.messages[self.history.places[ordinal].index]
        if bare is not message:
            mark = self.history.blocks.of_message(message)
            prefix = self.history.carried_prefix(message["content"])
            self.usable[ordinal] = PutBack(ordinal, message, bare, mark, prefix, None)


def _summarises(turn: Turn) -> bool:
    """True for a turn in which the API has summarised the conversation before it."""
    return any(block["type"] == "compaction" for block in turn.content)


def _rebuilt(known: _Known) -> list[int]:
    """The turns of the newest conversation that can be rebuilt, oldest first."""
    best: list[int] = []
    tries = 0
    for ordinal in sorted(known.turns, reverse=True):
        if known.turns[ordinal].client != known.history.client(known.history.places[ordinal]):
            continue
        tries += 1
        chain = _chain(known, ordinal)
        if chain is not None:
            best = chain
            break
        if tries == _MOST_TRIES:
            break
    unbroken = _unbroken(known, len(known.history.places))
    carried_ends = bool(unbroken) and known.usable[unbroken[-1]].turn is None
    if carried_ends and (not best or unbroken[-1] > best[-1]):
        return unbroken
    return best


def _chain(known: _Known, ordinal: int) -> list[int] | None:
    """The turns that were in the request which this one answers, and itself; None if one is lost.

    Follows the links back; each must lead to a turn in the very form it was sent in.
    """
    chain = [ordinal]
    turn: Turn | None = known.turns[ordinal]
    while turn is not None and turn.after is not None:
        link = turn.after
        earlier = known.usable.get(link.ordinal)
        if earlier is None or earlier.mark != link.mark or link.ordinal >= chain[-1]:
            return None
        chain.append(link.ordinal)
        turn = earlier.turn
        if turn is None:  # thinking the client carried is only used behind an unbroken row
            row = _unbroken(known, link.ordinal + 1)
            if not row or row[-1] != link.ordinal:
                return None
            chain += reversed(row[:-1])
    chain.reverse()
    return chain


def _unbroken(known: _Known, end: int) -> list[int]:
    """Turns from the first on, before `end`, up to one that may have lost its thinking."""
    row: list[int] = []
    for ordinal in range(end):
        if ordinal in known.usable:
            row.append(ordinal)
        elif ordinal not in known.plain and known.history.carried is None:
            break
    return row


def _complete_loops(known: _Known) -> list[int]:
    """All turns of those tool loops of which every turn is there."""
    chosen: list[int] = []
    loop: list[int] = []
    complete = True
    for ordinal, place in enumerate(known.history.places):
        if place.opens:
            chosen += loop if complete else []
            loop, complete = [], True
        if ordinal in known.usable:
            loop.append(ordinal)
        elif ordinal not in known.plain:
            complete = False
    return chosen + (loop if complete else [])


def _apply(known: _Known, chosen: list[int]) -> Restored:
    history = known.history
    messages = list(history.messages)
    for ordinal, place in enumerate(history.places):
        messages[place.index] = known.bare(ordinal)
    put_back: list[PutBack] = []
    for ordinal in chosen:
        each = known.usable[ordinal]
        index = history.places[ordinal].index
        messages[index] = each.message
        if each.turn is not None and each.turn.added:
            _add(messages, index, each.turn.added)
        put_back.append(each)
    kept = set(chosen)
    lost = [ordinal for ordinal in known.usable if ordinal not in kept]
    reason = _reason(known, lost)
    return Restored(messages, not reason, reason, tuple(put_back), history)


def _add(messages: list[JSONObject], index: int, added: list[JSONObject]) -> None:
    """Puts what the gateway had added back to the end of the user's part before `index`."""
    for before in range(index - 1, -1, -1):
        message = messages[before]
        if message["role"] == "user":
            messages[before] = {**message, "content": [*message["content"], *added]}
            return
        if message["role"] == "assistant":
            return


def _reason(known: _Known, lost: list[int]) -> Reason:
    if known.refused and known.usable:
        return "refused"
    if known.lost_to:
        return known.lost_to
    for ordinal in lost:
        turn = known.turns.get(ordinal)
        if turn is not None and turn.client != known.history.client(known.history.places[ordinal]):
            return "changed"
    return "missing" if lost else ""
