"""A labelled text as lines that references can name."""

import re
from array import array
from itertools import accumulate
from operator import add

from gateway.reduction.reference_notation import Run

RAW = -1
"""Stands for the number of a line that prints none."""

_NUMBERED = r"( *(?:0|[1-9][0-9]{0,8}))(→|\t|: |\|)"
_HEAD = re.compile(_NUMBERED)
_LINES = re.compile(rf"^(?:{_NUMBERED})?(.*)$", re.MULTILINE)
_ANY_FIRST = re.compile(r" *+\d++(?:→|\t|: |\|)")
_ANY_LATER = re.compile(r"\n *+\d++(?:→|\t|: |\|)")  # begins with a constant: far faster
_STRANGE_FIRST = re.compile(rf"(?!{_NUMBERED}) *+\d++(?:→|\t|: |\|)")
_STRANGE_LATER = re.compile(rf"\n(?!{_NUMBERED}) *+\d++(?:→|\t|: |\|)")


class Listing:
    """What the lines of a text with printed numbers are made of.

    `numbers` holds the number each line prints, RAW where it prints none; `texts` the lines without
    it.
    """

    __slots__ = ("_forms", "_text", "numbers", "texts")

    def __init__(self, text: str) -> None:
        lines = _LINES.findall(text)
        self.numbers = [int(head) if head else RAW for head, _, _ in lines]
        self.texts = [rest for _, _, rest in lines]
        self._text = text
        self._forms: list[tuple[int, str]] | None = None

    @property
    def forms(self) -> list[tuple[int, str]]:
        """How each line prints its number: the width of it, and what follows."""
        if self._forms is None:
            lines = _LINES.findall(self._text)
            self._forms = [(len(head), separator) for head, separator, _ in lines]
        return self._forms


class SourceText:
    """A text in lines, which end with a line feed and nothing else.

    `starts` holds where each line starts, and where one after the last would; `listing` is None for
    a text without printed numbers. `is_readable` is False when nothing may refer to its lines: one
    begins with a number that is none for us, such as 007, but may be one for another reader.
    """

    __slots__ = ("_places", "is_readable", "label", "listing", "starts", "text")

    def __init__(self, text: str, label: int, lines: list[str] | None = None) -> None:
        if lines is None:
            lines = text.split("\n")
        self.text = text
        self.label = label
        self.starts = array(
            "L", list(map(add, accumulate(map(len, lines), initial=0), range(len(lines) + 1)))
        )
        self.is_readable = True
        self.listing: Listing | None = None
        self._places: dict[int, int] | None = None
        if _ANY_FIRST.match(text) or _ANY_LATER.search(text):
            self.listing = Listing(text)
            self.is_readable = not (_STRANGE_FIRST.match(text) or _STRANGE_LATER.search(text))

    @property
    def count(self) -> int:
        """How many lines it has."""
        return len(self.starts) - 1

    @property
    def places(self) -> dict[int, int]:
        """The first line that prints a number, by number."""
        if self._places is None:
            numbers = self.listing.numbers if self.listing is not None else []
            backwards = range(len(numbers) - 1, -1, -1)
            self._places = dict(zip(reversed(numbers), backwards, strict=True))
            self._places.pop(RAW, None)
        return self._places

    def between(self, begin: int, end: int) -> str:
        """The lines from `begin` up to, not including, `end`; counted from 0."""
        return self.text[self.starts[begin] : self.starts[end] - 1]

    def locate(self, run: Run) -> tuple[int, bool] | None:
        """The line, from 0, where a run begins, and whether it is named by printed numbers."""
        size = run.last - run.first
        if size < 0 or run.end - run.begin != size:
            return None
        begin, end = self.places.get(run.begin), self.places.get(run.end)
        if begin is not None and end is not None and end - begin == size:
            return begin, True
        if run.begin < 1 or run.end > self.count:
            return None
        return run.begin - 1, False

    def expand(self, run: Run) -> str | None:
        """The lines a run stands for; None when there are none."""
        found = self.locate(run)
        if found is None:
            return None
        begin, is_numbered = found
        lines = self.between(begin, begin + run.last - run.first + 1)
        if not is_numbered or self._reads_as_it_stands(begin, run):
            return lines
        return "\n".join(
            [renumbered(line, run, index) for index, line in enumerate(lines.split("\n"))]
        )

    def _reads_as_it_stands(self, begin: int, run: Run) -> bool:
        if run.is_bare or run.first != run.begin or self.listing is None:
            return False
        printed = list(range(run.begin, run.end + 1))
        return self.listing.numbers[begin : begin + len(printed)] == printed


def renumbered(line: str, run: Run, index: int) -> str:
    """A line of a listing as it reads `index` lines into a run; a raw one stays as it is."""
    head = _HEAD.match(line)
    if head is None:
        return line
    if run.is_bare:
        return line[head.end() :]
    width = head.end(1)
    return f"{run.first + index:>{width}}{line[width:]}"
