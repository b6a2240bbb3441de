"""What the passes did to one request: the raw numbers of the ledger."""

from typing import Literal

from gateway.structs import Struct, field

Technique = Literal[
    "boilerplate",
    "caps",
    "diff_first",
    "volatile_lines",
    "references",
    "cold_compaction",
    "context_pruning",
    "append_log",
]
"""What a rewriting pass goes by in headers, metrics and reports."""


class Effect(Struct, frozen=True):
    """What one pass did to one request.

    `removed_chars` are characters that were not sent because of it, negative when it added some;
    `removed_new_chars` are those of them in text that this conversation has not sent before.
    """

    technique: Technique
    removed_chars: int
    removed_new_chars: int


class ReductionReport(Struct):
    """What was done to one request.

    `plain_chars` counts the text of the plain translation (tools, system, messages), `sent_chars`
    that of what is sent. `marks` are the cache marks in it, `lifetime` that of the gateway's own.
    `held_out`: the conversation goes untouched. `appends` tells whether the request continues the
    previous one, None for the first. `moved_lines` counts volatile system lines that were moved.
    """

    conversation: str = ""
    effects: list[Effect] = field(default_factory=list)
    plain_chars: int = 0
    sent_chars: int = 0
    marks: int = 0
    lifetime: Literal["5m", "1h"] | None = None
    held_out: bool = False
    appends: bool | None = None
    moved_lines: int = 0

    def note(self, technique: Technique, removed_chars: int, removed_new_chars: int) -> None:
        """Add what a pass did; nothing when it did nothing."""
        if removed_chars or removed_new_chars:
            self.effects.append(Effect(technique, removed_chars, removed_new_chars))
