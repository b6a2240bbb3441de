"""Where lines stood before: finds the longest run of lines that an earlier text has as well.

Lines go by their hashes, three in a row at a time. Two different ones of one hash cost at most a
reference: the encoder reads back what it wrote.
"""

from array import array
from bisect import bisect_left
from itertools import chain

from gateway.reduction.reference_notation import MIN_CHARS, MIN_LINES, Run
from gateway.reduction.reference_source import RAW, SourceText, renumbered

_MAX_CANDIDATES = 6
_LINE_BITS = 32
_LINE_MASK = (1 << _LINE_BITS) - 1
_FIRST_STEP = 32
_PATIENCE = 64  # comparisons in vain for any text, and one more for so many of its characters;
_CHARS_FOR_ONE = 16  # real texts take a tenth of that, and texts made to be slow stay linear


class LineText:
    """A text whose runs are looked up, and to which later texts refer then.

    `keys` are the hashes of its lines, without printed numbers; `triples` those of three in a row.
    `ends` tells for each line where the lines end that can stand in one run with it: all raw, or
    numbered one by one; None for a text without numbers. `literal` are the stretches of it that
    were sent as they are. `patience` is how often lines may yet be compared in vain.
    """

    __slots__ = ("ends", "keys", "literal", "patience", "source", "triples")

    def __init__(self, value: str, label: int) -> None:
        lines = value.split("\n")
        self.source = SourceText(value, label, lines)
        listing = self.source.listing
        keys = list(map(hash, lines if listing is None else listing.texts))
        self.keys = array("q", keys)
        self.ends = None if listing is None else _ends(listing.numbers)
        self.triples = list(map(hash, zip(keys, keys[1:], keys[2:], strict=False)))
        self.literal = [(0, len(lines))]
        self.patience = _PATIENCE + len(value) // _CHARS_FOR_ONE

    def is_raw(self, line: int) -> bool:
        """True for a line that prints no number."""
        listing = self.source.listing
        return listing is None or listing.numbers[line] == RAW

    def run_end(self, line: int, at_most: int) -> int:
        """Where a run that begins with this line ends at the latest."""
        return at_most if self.ends is None else min(self.ends[line], at_most)

    def number(self, line: int) -> int:
        """What a line goes by in references: its printed number, else its place from 1."""
        listing = self.source.listing
        return line + 1 if listing is None or self.is_raw(line) else listing.numbers[line]


class RunIndex:
    """The literal lines of earlier texts; not thread-safe."""

    __slots__ = ("_first", "_others", "_texts")

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self._others: dict[int, list[int]] = {}
        self._texts: list[LineText] = []

    def add(self, text: LineText) -> None:
        """Let later texts refer to this one."""
        source, triples = text.source, text.triples
        text.triples = []
        if not source.is_readable:
            return
        if source.listing is not None:
            text.ends = _ends(source.listing.numbers, source.places)
            source.listing.texts = []
        base = len(self._texts) << _LINE_BITS
        self._texts.append(text)
        first, others = self._first, self._others
        for begin, end in text.literal:
            places = range(base + begin, base + end)
            for triple, place in zip(triples[begin : end - 2], places, strict=False):
                if first.setdefault(triple, place) != place:
                    more = others.setdefault(triple, [])
                    if len(more) < _MAX_CANDIDATES - 1:
                        more.append(place)

    def runs(self, text: LineText) -> list[tuple[int, int, Run]]:
        """The runs of a text that earlier texts have: where each begins and ends, and its name."""
        known, starts, count = self._first, text.source.starts, text.source.count
        found: list[tuple[int, int, Run]] = []
        done = 0
        for line in [line for line, triple in enumerate(text.triples) if triple in known]:
            if line < done:
                continue
            least = bisect_left(starts, starts[line] + MIN_CHARS, line + MIN_LINES) - line
            if line + least > count or text.patience < 0:
                break
            run = self._longest(text, line, least)
            if run is not None:
                done = line + run.last - run.first + 1
                found.append((line, done, run))
        return found

    def _longest(self, text: LineText, line: int, least: int) -> Run | None:
        """The longest run of `least` lines or more that begins with this line."""
        triple = text.triples[line]
        wanted = text.keys[line : line + least]
        room = text.run_end(line, text.source.count) - line
        best: Run | None = None
        length = least - 1
        for place in chain((self._first[triple],), self._others.get(triple, ())):
            other, at = self._texts[place >> _LINE_BITS], place & _LINE_MASK
            if other.keys[at : at + least] != wanted:
                text.patience -= 1
                continue
            stretch_end = other.literal[bisect_left(other.literal, (at + 1,)) - 1][1]
            most = min(room, other.run_end(at, stretch_end) - at)
            if most <= length:
                text.patience -= 1
                continue
            same = _common(text.keys, line, other.keys, at, most)
            run = _run(text, line, other, at, same)
            taken = run.last - run.first + 1 if run is not None else 0
            if taken < same:
                text.patience -= 1 + (same - taken) // _CHARS_FOR_ONE
            if run is not None and taken > length:
                best, length = run, taken
        return best


def _run(text: LineText, line: int, other: LineText, at: int, length: int) -> Run | None:
    """How the run of `length` lines is named, or as much of it as can be; None for none."""
    source = other.source
    is_raw, was_raw = text.is_raw(line), other.is_raw(at)
    if not source.is_readable or (was_raw and not is_raw):
        return None
    first, begin = text.number(line), other.number(at)
    end = begin + length - 1
    run = Run(first, first + length - 1, begin, end, source.label, is_raw and not was_raw)
    if not is_raw:
        length = _renumbered_lines(text.source, line, source, at, run)
        run = Run(first, first + length - 1, begin, begin + length - 1, source.label, False)
    return run if length and source.locate(run) == (at, not was_raw) else None


def _renumbered_lines(text: SourceText, line: int, source: SourceText, at: int, run: Run) -> int:
    """How many lines of a run between listings read the same once they are renumbered."""
    length = run.last - run.first + 1
    ours, theirs = text.listing, source.listing
    if ours is None or theirs is None:
        return 0
    if ours.forms[line : line + length] == theirs.forms[at : at + length]:
        return length
    for index in range(length):
        shown = renumbered(source.between(at + index, at + index + 1), run, index)
        if shown != text.between(line + index, line + index + 1):
            return index
    return length


def _common(ours: "array[int]", line: int, theirs: "array[int]", at: int, most: int) -> int:
    """How many keys are the same from there on, at most so many."""
    size, step = 0, _FIRST_STEP
    while size < most:
        step = min(step * 2, most - size)
        if ours[line + size : line + size + step] != theirs[at + size : at + size + step]:
            break
        size += step
    else:
        return most
    while step > 1:
        half = step // 2
        if ours[line + size : line + size + half] == theirs[at + size : at + size + half]:
            size, step = size + half, step - half
        else:
            step = half
    return size


def _ends(numbers: list[int], places: dict[int, int] | None = None) -> "array[int]":
    """See `LineText.ends`. With `places`, only the first line of a number counts."""
    count = len(numbers)
    ends = array("L", range(count))
    end = count
    for line in range(count - 1, -1, -1):
        number = numbers[line]
        following = number if number == RAW else number + 1
        if line + 1 == count or numbers[line + 1] != following:
            end = line + 1
        if places is not None and number != RAW and places[number] != line:
            end = line
        ends[line] = end
    return ends
