"""Writes the texts of one conversation with references, one after another.

What is written for a text depends on it and on those before it only. Nothing refers to a text that
reads like the notation itself, and it is sent so that it reads back as it was.
"""

import sys

from gateway.reduction.reference_index import LineText, RunIndex
from gateway.reduction.reference_notation import (
    IDENTICAL_OPENING,
    LABEL_OPENING,
    MIN_CHARS,
    Run,
    identical,
    labelled,
    run_lines,
)
from gateway.reduction.reference_reader import (
    BadReferenceError,
    read_runs,
    reads_like_notation,
)
from gateway.reduction.reference_source import SourceText
from gateway.structs import Struct

_BYTES_A_LINE = 180  # its key, its start, and the place of three lines in the index
_BYTES_A_TEXT = 2000
_MAX_OF_A_SHAPE = 32  # each costs a comparison
_SAMPLE_CHARS = 40

_Shape = tuple[int, str, str, str]


class _Newest(Struct):
    """What was before the newest text, and where that was put."""

    label: int
    size: int
    shape: _Shape | None = None


class ReferenceEncoder:
    """What was written so far, and where its lines stand; not thread-safe.

    `runs`: runs of lines become references as well as whole texts. `size` is about how many bytes
    of memory it takes.
    """

    __slots__ = (
        "_claimed",
        "_index",
        "_label",
        "_last",
        "_newest",
        "_sources",
        "_whole",
        "runs",
        "size",
    )

    def __init__(self, *, runs: bool) -> None:
        self.runs = runs
        self.size = 0
        self._label = 0
        self._claimed: set[int] = set()
        self._whole: dict[_Shape, list[tuple[str, int]]] = {}
        self._index = RunIndex()
        self._sources: dict[int, SourceText] = {}
        self._last: tuple[str, int] | LineText | None = None
        self._newest: _Newest | None = None

    def claim(self, label: int) -> None:
        """Leave a label alone from here on, because something else begins with it."""
        self._claimed.add(label)
        self._newest = None
        source = self._sources.get(label)
        if source is not None:
            source.is_readable = False

    def encode(self, value: str) -> str:
        """What to send for a text that `is_eligible`."""
        self._newest = None if self.runs else _Newest(self._label, self.size)
        sent = self._encoded(value)
        self.size += sys.getsizeof(value) + sys.getsizeof(sent) + _BYTES_A_TEXT
        return sent

    def take_back(self) -> bool:
        """Forget the newest text as if it had not come; False where that cannot be done."""
        newest = self._newest
        if newest is None:
            return False
        self._label, self.size = newest.label, newest.size
        if newest.shape is not None:
            same = self._whole[newest.shape]
            same.pop()
            if not same:
                del self._whole[newest.shape]
        self._newest = None
        return True

    def _encoded(self, value: str) -> str:
        if reads_like_notation(value):
            return labelled(self._next_label(), value)
        if len(value) < MIN_CHARS or next(run_lines(value), None) is not None:
            return value
        shape = _shape(value)
        same = self._whole.setdefault(shape, [])
        for known, its_label in same:
            if known == value and its_label not in self._claimed:
                return identical(its_label)
        label = self._next_label()
        body = self._with_runs(value, label) if self.runs else value
        if body is value and len(same) < _MAX_OF_A_SHAPE:
            same.append((value, label))
            if self._newest is not None:
                self._newest.shape = shape
        return labelled(label, body)

    def _next_label(self) -> int:
        self._label += 1
        while self._label in self._claimed:
            self._label += 1
        return self._label

    def _with_runs(self, value: str, label: int) -> str:
        """The text with references to runs of lines of earlier ones; itself when it has none."""
        last = self._last
        if last is None:
            self._last = (value, label)  # split into lines when there is a second text
            return value
        if isinstance(last, tuple):
            last = self._in_lines(*last)
        self._index.add(last)
        self._last = text = self._in_lines(value, label)
        runs = self._index.runs(text)
        if not runs:
            return value
        body = _written(text.source, runs)
        if not self._reads_back(body, value):
            return value
        text.literal = _between(runs, text.source.count)
        return body

    def _in_lines(self, value: str, label: int) -> LineText:
        text = LineText(value, label)
        text.source.is_readable = text.source.is_readable and label not in self._claimed
        self._sources[label] = text.source
        self.size += _BYTES_A_LINE * text.source.count
        return text

    def _reads_back(self, body: str, value: str) -> bool:
        try:
            return read_runs(body, self._sources) == value
        except BadReferenceError:
            return False


def _written(text: SourceText, runs: list[tuple[int, int, Run]]) -> str:
    parts: list[str] = []
    done = 0
    for begin, end, run in runs:
        if done < begin:
            parts.append(text.between(done, begin))
        parts.append(str(run))
        done = end
    if done < text.count:
        parts.append(text.between(done, text.count))
    return "\n".join(parts)


def _between(runs: list[tuple[int, int, Run]], count: int) -> list[tuple[int, int]]:
    """The stretches of lines outside the runs."""
    begins = [0, *(end for _, end, _ in runs)]
    ends = [*(begin for begin, _, _ in runs), count]
    return list(zip(begins, ends, strict=True))


def _shape(value: str) -> _Shape:
    """What equal texts have in common, and others hardly: far cheaper than a digest of it all."""
    middle = len(value) // 2
    return (
        len(value),
        value[:_SAMPLE_CHARS],
        value[middle : middle + _SAMPLE_CHARS],
        value[-_SAMPLE_CHARS:],
    )


def is_eligible(value: str) -> bool:
    """True for a text to encode: a long one, or one that may read like the notation."""
    return len(value) >= MIN_CHARS or value.startswith((LABEL_OPENING, IDENTICAL_OPENING))
