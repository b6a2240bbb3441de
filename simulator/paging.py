"""Pages of lists that are newest first: `limit`, `after_id`, `before_id`."""

from collections.abc import Sequence
from typing import Protocol, TypeVar
from urllib.parse import parse_qs

from simulator.errors import invalid

_DEFAULT_LIMIT = 20
_MAX_LIMIT = 1000


class Listed(Protocol):
    """Anything that can be a cursor."""

    @property
    def id(self) -> str:
        """What cursors name."""
        ...


_T = TypeVar("_T", bound=Listed)


def page_of(things: Sequence[_T], query: str) -> tuple[Sequence[_T], bool]:
    """The page a query string asks for, and whether there is more in its direction."""
    asked = parse_qs(query)
    limit = _limit(asked.get("limit", [str(_DEFAULT_LIMIT)])[0])
    ids = [thing.id for thing in things]
    after, before = asked.get("after_id"), asked.get("before_id")
    if after and after[0] in ids:
        things = things[ids.index(after[0]) + 1 :]
    elif before and before[0] in ids:
        things = things[: ids.index(before[0])]
        return things[-limit:], len(things) > limit
    return things[:limit], len(things) > limit


def _limit(value: str) -> int:
    if not value.isdigit() or not 1 <= int(value) <= _MAX_LIMIT:
        raise invalid("limit", f"Input should be between 1 and {_MAX_LIMIT}")
    return int(value)
