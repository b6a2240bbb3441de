"""Walks over a request's messages, which go on where the request before had got to.

What a step needs of a request is often the same walk over all of its messages. Where these begin
with messages that an earlier request has left (`gateway.protocols.shared.prefix`), the walk takes
over what it had found behind them.
"""

from operator import is_
from typing import Any, Self, TypeVar

from gateway.structs import Struct
from gateway.wire import JSONObject


class Walk(Struct):
    """What one kind of walk has found so far. It depends on the messages it has seen alone.

    Of its fields only lists grow; all else is replaced.
    """

    def go(self, messages: list[JSONObject], first: int, digests: Any, /) -> None:
        """See more messages, of which `first` is the place of the first; `digests` are the
        request's.
        """
        raise NotImplementedError

    def copy(self) -> Self:
        """Another one that goes on by itself."""
        values = [getattr(self, name) for name in self.__struct_fields__]
        return type(self)(*[list(each) if isinstance(each, list) else each for each in values])


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
            walk.go(messages, 0, digests)
            return walk
        known = self._known.get(type(begin))
        if known is not None and _begin_with(messages, known.messages):
            walk, done = known.walk.copy(), len(known.messages)
        if done < self.shared < len(messages):
            walk.go(messages[done : self.shared], done, digests)
            done = self.shared
            self._known[type(begin)] = _Known(messages[:done], walk.copy())
        walk.go(messages[done:], done, digests)
        return walk


def _begin_with(messages: list[JSONObject], first: list[JSONObject]) -> bool:
    """True when these very objects stand at the beginning."""
    return len(first) <= len(messages) and all(map(is_, first, messages))
