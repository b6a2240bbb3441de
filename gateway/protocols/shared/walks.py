"""Walks over a request's messages, which go on where the request before had got to.

What a step needs of a request is often the same walk over all of its messages. Where these begin
with messages that an earlier request has left (`gateway.protocols.shared.prefix`), the walk takes
over what it had found behind them.
"""

from collections.abc import Iterable
from operator import is_
from typing import Any, Protocol, Self, TypeVar

from gateway.structs import Struct
from gateway.wire import JSONObject


class Walk(Protocol):
    """What one kind of walk has found so far. It depends on the messages it has seen alone."""

    def go(self, messages: Iterable[JSONObject], digests: Any) -> None:
        """See these messages, which follow the ones before; `digests` are the request's."""

    def copy(self) -> Self:
        """Another one that goes on by itself."""


WalkKind = TypeVar("WalkKind", bound=Walk)


class _Known(Struct, frozen=True):
    """A walk behind `messages`; it is copied, and never goes on itself."""

    messages: list[JSONObject]
    walk: Any


class Walks:
    """The walks of one request. `shared` is how many messages the next one is going to begin with,
    if that is known.
    """

    __slots__ = ("_known", "shared")

    def __init__(self, known: "Walks | None" = None) -> None:
        """`known` are those of a request that has begun with the same messages."""
        self._known: dict[type, _Known] = {} if known is None else dict(known._known)
        self.shared = 0

    def of(self, messages: list[JSONObject]) -> "Walks":
        """Those over these very messages: walks over others would only keep them alive."""
        kept = Walks()
        kept._known = {
            kind: known
            for kind, known in self._known.items()
            if _begin_with(messages, known.messages)
        }
        return kept

    def over(self, messages: list[JSONObject], begin: WalkKind, digests: Any) -> WalkKind:
        """`begin`, a walk that has seen nothing, or one of its kind, behind all these messages."""
        walk, done = begin, 0
        if not self.shared and not self._known:
            walk.go(messages, digests)
            return walk
        known = self._known.get(type(begin))
        if known is not None and _begin_with(messages, known.messages):
            walk, done = known.walk.copy(), len(known.messages)
        if done < self.shared < len(messages):
            walk.go(messages[done : self.shared], digests)
            done = self.shared
            self._known[type(begin)] = _Known(messages[:done], walk.copy())
        walk.go(messages[done:], digests)
        return walk


def _begin_with(messages: list[JSONObject], first: list[JSONObject]) -> bool:
    """True when these very objects stand at the beginning."""
    return len(first) <= len(messages) and all(map(is_, first, messages))
