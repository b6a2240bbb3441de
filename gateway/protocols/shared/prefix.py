"""What the first messages of a request came to, for requests that begin with the same ones.

Agents send their whole history with every request. Translation looks at nothing behind a message,
so it can go on where an earlier request with the same beginning had got to.
"""

from collections.abc import Callable

from gateway.protocols.history_repair import ClosedRounds
from gateway.protocols.shared.cache_marks import first_marked
from gateway.protocols.shared.digests import BlockDigests
from gateway.protocols.shared.tools import DeclaredTools
from gateway.structs import Struct, field
from gateway.wire import JSON, JSONObject

BeginsRound = Callable[[list[JSON], int], bool]
"""True when the assistant begins to speak in that message or item, behind somebody else.

Messages may be anything: nothing is checked.
"""


class PrefixForm(Struct, frozen=True):
    """Where a protocol has its messages, and on what other fields their translation depends."""

    messages: str
    setting: tuple[str, ...]


class Prefix(Struct, frozen=True):
    """The first `count` messages of a client, translated; the assistant begins to speak behind.

    It is shared by all requests that begin so: nobody may change what is in it. `system` is the
    text before all messages, `tools` are those declared with the names that messages have added,
    `marked`: cache marks of the client's are in it; `ignored` names what was dropped. `digests` are
    those of its blocks that are known.
    """

    count: int
    system: list[JSONObject]
    rounds: ClosedRounds
    tools: DeclaredTools
    marked: bool
    ignored: list[str]
    digests: BlockDigests = field(default_factory=BlockDigests)


class PrefixUse(Struct):
    """How a translation takes part: it goes on from `known`, and leaves a longer one in `reached`.

    There is none where the next request will not begin so.
    """

    known: Prefix | None = None
    reached: Prefix | None = None

    def usable(self, messages: JSON, begins_round: BeginsRound) -> Prefix | None:
        """What is known, if the assistant speaks behind it as it did then."""
        known = self.known
        if known is None or not isinstance(messages, list) or len(messages) <= known.count:
            return None
        return known if begins_round(messages, known.count) else None


def newest_round(messages: list[JSON], begins_round: BeginsRound, known: int) -> int:
    """Where the assistant has begun to speak last, before any mark; else the end of what is known.

    Clients move their cache marks with every turn: what has one comes without it the next time.
    """
    for index in range(min(len(messages) - 1, first_marked(messages, known)), known, -1):
        if begins_round(messages, index):
            return index
    return known
