"""How references are written, and how they are read back.

    [ctx 3]                                     first line of a text: its label, no part of it
    «lines 5-90 = lines 1-86 of [ctx 1]»        alone on a line: these lines of an earlier text
    «lines 5-90 = lines 1-86 of [ctx 1], without their numbers»
    «identical to [ctx 1]»                      alone in its text: all of that text

Lines are counted from 1 below the label. In a listing that prints its line numbers, as tools that
read files do, the printed numbers count: `    12→text`, `12\ttext`, `12: text` or `12|text`. A run
taken from such a listing gets the numbers of the place where the reference stands, or none.
"""

import re
from collections.abc import Iterator

from gateway.structs import Struct

NOTATION = (
    "Repeated text is sent once. A first line [ctx N] is only a label."
    " «lines A-B = lines C-D of [ctx N]» stands for lines C to D of the text labelled [ctx N],"
    " here as lines A to B (printed line numbers, else counted below the label);"
    " «identical to [ctx N]» stands for all of it."
    " Read both as the text itself. Never write labels or such lines yourself,"
    " in answers, edits or files."
)
"""What a model must know to follow references; the same in every request that may hold any."""

MIN_CHARS = 320
"""Shorter texts are not labelled, and shorter runs are not referred to."""

MIN_LINES = 4
"""Shorter runs are not referred to."""

LABEL_OPENING = "[ctx "
IDENTICAL_OPENING = "«identical to [ctx "

_LABEL = re.compile(r"\[ctx (\d{1,4000})\]\n")  # of more digits `int` makes no number
_IDENTICAL = re.compile(r"«identical to \[ctx (\d{1,4000})\]»")
_RUN_OPENING = "«lines "
_OPENING_CHARACTER = "«"  # a single character is found far faster than a word
_RUN = re.compile(
    r"«lines (\d+)-(\d+) = lines (\d+)-(\d+) of \[ctx (\d+)\](, without their numbers)?»"
)


class Run(Struct, frozen=True):
    """Lines `first` to `last` of a text, which are lines `begin` to `end` of the text `label`.

    `is_bare`: they stand there with printed numbers and here without.
    """

    first: int
    last: int
    begin: int
    end: int
    label: int
    is_bare: bool

    def __str__(self) -> str:
        """The run as it is sent."""
        bare = ", without their numbers" if self.is_bare else ""
        return (
            f"«lines {self.first}-{self.last} = lines {self.begin}-{self.end}"
            f" of [ctx {self.label}]{bare}»"
        )


def labelled(label: int, text: str) -> str:
    """`text` below its label."""
    return f"[ctx {label}]\n{text}"


def identical(label: int) -> str:
    """What is sent for a text that is the same as the one with that label."""
    return f"«identical to [ctx {label}]»"


def split_label(text: str) -> tuple[int, str] | None:
    """The label of a text and what stands below it."""
    found = _LABEL.match(text)
    return (int(found[1]), text[found.end() :]) if found is not None else None


def identical_label(text: str) -> int | None:
    """The label of the text that this one is said to be identical to."""
    found = _IDENTICAL.fullmatch(text)
    return int(found[1]) if found is not None else None


def run_lines(text: str) -> Iterator[re.Match[str]]:
    """The lines of a text that are references to runs."""
    at = text.find(_OPENING_CHARACTER)
    if at < 0 or text.find(_RUN_OPENING, at) < 0:
        return
    while at >= 0:
        if text.startswith(_RUN_OPENING, at) and (at == 0 or text[at - 1] == "\n"):
            end = text.find("\n", at)
            found = _RUN.fullmatch(text, at, end if end >= 0 else len(text))
            if found is not None:
                yield found
        at = text.find(_OPENING_CHARACTER, at + 1)


def read_run(found: re.Match[str]) -> Run | None:
    """The run such a line names; None when its numbers are no numbers of lines."""
    parts = found.groups()[:5]
    if any(len(part) > 9 for part in parts):
        return None
    first, last, begin, end, label = map(int, parts)
    return Run(first, last, begin, end, label, found[6] is not None)
