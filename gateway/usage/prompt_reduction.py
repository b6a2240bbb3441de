"""What was done to a prompt, as plain values: what the ledger of its request starts from."""

from typing import TypeAlias

from gateway.structs import Struct
from gateway.wire import JSONObject

Effect: TypeAlias = tuple[str, int, int]
"""A technique, the characters that were not sent because of it, and those of them that are new.

New is text that the conversation has not sent before. Both are negative for what was added.
"""


class PromptReduction(Struct, frozen=True):
    """What was done to one prompt.

    `sent_chars` is the size of what is sent, 0 when nobody counted. `marks` are the cache marks in
    it, `lifetime` that of the gateway's own, None when it set none. `own_marks`: the client sets
    its marks itself, so that what the cache saves is not the gateway's doing.
    """

    sent_chars: int = 0
    effects: tuple[Effect, ...] = ()
    marks: int = 0
    lifetime: str | None = None
    own_marks: bool = False


def reduction_of(data: JSONObject) -> PromptReduction:
    """The reduction in a journal record. Raises KeyError, TypeError or ValueError when it is none.

    Its dollars are worked out once more from it, so nothing of a wrong type may come through.
    """
    lifetime = data["lifetime"]
    return PromptReduction(
        sent_chars=int(data["sent_chars"]),
        effects=tuple((str(name), int(every), int(new)) for name, every, new in data["effects"]),
        marks=int(data["marks"]),
        lifetime=None if lifetime is None else str(lifetime),
        own_marks=bool(data["own_marks"]),
    )


class Ledger(Struct, frozen=True):
    """The dollars of one request's input, for its usage row.

    `baseline_usd` is what the plain translation would have cost and `billed_usd` what was billed;
    None when nothing is known, never 0. `techniques` holds {"tokens", "usd"} by technique: tokens
    that were not sent and dollars that were not spent because of it, negative for a loss.
    """

    baseline_usd: float | None = None
    billed_usd: float | None = None
    techniques: dict[str, dict[str, float]] | None = None


NOTHING_KNOWN = Ledger()
