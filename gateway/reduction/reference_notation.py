"""The notation of references, and its decoder: what a reader of the request alone can do.

`[ctx 7]` as the first line of a text names it. Elsewhere in the request stands, alone on a line,

    «lines 12-40 = lines 3-31 of [ctx 7]»                          the same lines
    «lines 12-40 = lines 3-31 of [ctx 7], without their numbers»   numbered there, bare here

and, as a whole text, `«identical to [ctx 7]»`. Lines count from 1, or go by the numbers that are
printed before them, where a tool has numbered them.
"""

import re
from dataclasses import dataclass
from functools import cached_property

NOTATION = (
    "Repeated text in this conversation is sent once. A line [ctx N] at the start of a text names "
    "it; it is not part of the text. «lines A-B = lines C-D of [ctx N]» alone on a line stands for "
    "lines C-D of the text named [ctx N] earlier in this conversation, word for word (where lines "
    'carry printed numbers, A-B and C-D are these numbers); ", without their numbers" means that '
    "they stand here without the numbers printed there. «identical to [ctx N]» means the same text "
    "as [ctx N]. Read them as if the text stood here in full. Never write such lines yourself; "
    "write out text that you quote or edit."
)
"""The constant system block that explains it to the model."""

MAX_NUMBER_DIGITS = 9

_LABEL = re.compile(r"\[ctx (\d+)\]\n")
_REFERENCE = re.compile(
    r"«lines (\d+)-(\d+) = lines (\d+)-(\d+) of \[ctx (\d+)\](, without their numbers)?»"
)
_SAME = re.compile(r"«identical to \[ctx (\d+)\]»")
_NUMBERED = re.compile(r"( *)(\d{1,9})(→|\t|: |\|)(.*)", re.DOTALL)


class BadReferenceError(ValueError):
    """A reference that leads nowhere."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A line with a printed number: its `width` with the blanks before it, and what follows."""

    number: int
    width: int
    separator: str
    rest: str

    def renumbered(self, number: int) -> str:
        """The line under another number."""
        return f"{number:>{self.width}}{self.separator}{self.rest}"


def numbered(line: str) -> Numbered | None:
    """The parts of a numbered line, None for any other."""
    match = _NUMBERED.fullmatch(line)
    if match is None:
        return None
    blanks, digits, separator, rest = match.groups()
    return Numbered(int(digits), len(blanks) + len(digits), separator, rest)


@dataclass(frozen=True)
class Source:
    """A text that references may point to: its number and its lines, decoded."""

    number: int
    lines: list[str]

    @cached_property
    def places(self) -> dict[int, int]:
        """The first line of each printed number."""
        places: dict[int, int] = {}
        for index, line in enumerate(self.lines):
            if (parts := numbered(line)) is not None:
                places.setdefault(parts.number, index)
        return places


def label(number: int) -> str:
    """The line that names a text, with its end."""
    return f"[ctx {number}]\n"


def same_as(number: int) -> str:
    """The whole of a text that was sent before."""
    return f"«identical to [ctx {number}]»"


def lines_of(here: tuple[int, int], there: tuple[int, int], number: int, *, bare: bool) -> str:
    """The line that stands for lines `there` of text `number`."""
    ending = ", without their numbers" if bare else ""
    return f"«lines {here[0]}-{here[1]} = lines {there[0]}-{there[1]} of [ctx {number}]{ending}»"


def holds_references(text: str) -> bool:
    """True when a text of the client would be read as a reference: it has to be left alone."""
    if "«" not in text:
        return False
    if is_same(text):
        return True
    return "«lines " in text and any(_REFERENCE.fullmatch(line) for line in text.split("\n"))


def is_same(text: str) -> bool:
    """True when a text, without its label, stands for another one as a whole."""
    return _SAME.fullmatch(text) is not None


def split_label(text: str) -> tuple[int | None, str]:
    """The number a text is named by, and the text without that line."""
    match = _LABEL.match(text)
    return (int(match[1]), text[match.end() :]) if match else (None, text)


def decoded(text: str, sources: dict[int, Source]) -> str:
    """A text without its label, with what its references stand for. Raises BadReferenceError."""
    same = _SAME.fullmatch(text)
    if same is not None:
        return "\n".join(_source(int(same[1]), sources).lines)
    if "«lines " not in text:
        return text
    lines: list[str] = []
    for line in text.split("\n"):
        match = _REFERENCE.fullmatch(line)
        if match is None:
            lines.append(line)
        else:
            lines += _resolved(match, sources)
    return "\n".join(lines)


def _source(number: int, sources: dict[int, Source]) -> Source:
    source = sources.get(number)
    if source is None:
        raise BadReferenceError(f"there is no text [ctx {number}] before")
    return source


def _resolved(match: re.Match[str], sources: dict[int, Source]) -> list[str]:
    here, here_end, there, there_end, number = map(int, match.groups()[:5])
    source = _source(number, sources)
    first, last = source.places.get(there), source.places.get(there_end)
    if here_end - here != there_end - there or there_end < there:
        raise BadReferenceError("both sides of a reference must have as many lines")
    if first is not None and last is not None and last - first == there_end - there:
        return [
            _rewritten(line, here + offset, bare=match[6] is not None)
            for offset, line in enumerate(source.lines[first : last + 1])
        ]
    if not 1 <= there <= there_end <= len(source.lines):
        raise BadReferenceError(f"[ctx {number}] has no lines {there}-{there_end}")
    return source.lines[there - 1 : there_end]


def _rewritten(line: str, number: int, *, bare: bool) -> str:
    parts = numbered(line)
    if parts is None:
        return line
    return parts.rest if bare else parts.renumbered(number)
