"""How often a client's first turn is followed by a second one.

Writing a prompt to the cache costs a quarter more, which only a next turn can earn back. Most
clients continue nearly always; a script that asks one question after another never does.
"""

from collections import OrderedDict

from gateway.catalog.models import Price
from gateway.structs import Struct

_PRIOR_CONTINUED, _PRIOR_BEGUN = 4.0, 5.0
_MOST_BEGUN = 200.0  # after so many, what is older counts half
_MOST_CLIENTS = 2_000


class _Counts(Struct):
    begun: float = 0.0
    continued: float = 0.0


_NONE_YET = _Counts()


class Continuations:
    """Counts in this process, by project and client."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, str], _Counts] = OrderedDict()

    def begun(self, project: str, client: str) -> None:
        """A conversation of that client has begun."""
        counts = self._of(project, client)
        counts.begun += 1
        if counts.begun > _MOST_BEGUN:
            counts.begun, counts.continued = counts.begun / 2, counts.continued / 2

    def continued(self, project: str, client: str) -> None:
        """A conversation that had one request got its second one."""
        self._of(project, client).continued += 1

    def chance(self, project: str, client: str) -> float:
        """How likely the next first turn is continued."""
        counts = self._counts.get((project, client), _NONE_YET)
        chance = (counts.continued + _PRIOR_CONTINUED) / (counts.begun + _PRIOR_BEGUN)
        return min(chance, 1.0)

    def _of(self, project: str, client: str) -> _Counts:
        name = (project, client)
        counts = self._counts.get(name)
        if counts is None:
            counts = self._counts[name] = _Counts()
            if len(self._counts) > _MOST_CLIENTS:
                self._counts.popitem(last=False)
        else:
            self._counts.move_to_end(name)
        return counts


def is_worth_writing(chance: float, price: Price | None) -> bool:
    """True when a write to the cache is expected to be earned back by a read."""
    if price is None:
        return True
    premium = price.cache_write_5m - price.input
    gain = price.input - price.cache_read
    return chance * gain > premium
