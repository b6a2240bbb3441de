"""Another reader of the notation, written from its description alone and as simply as can be.

It knows nothing of escapes: it takes every label and every reference for one, wherever it stands.
"""

import re

_RUN = re.compile(
    r"«lines (?P<a>\d+)-(?P<b>\d+) = lines (?P<c>\d+)-(?P<d>\d+) of \[ctx (?P<n>\d+)\]"
    r"(?P<bare>, without their numbers)?»"
)

_Known = dict[int, tuple[list[str], dict[int, int]]]


def read_outside(texts: list[str]) -> tuple[list[str], int]:
    """The texts in full, and how many references lead nowhere."""
    known: _Known = {}
    read: list[str] = []
    bad = 0
    for sent in texts:
        text, label = sent, None
        if opening := re.match(r"\[ctx (\d+)\]\n", text):
            label, text = int(opening[1]), text[opening.end() :]
        if whole := re.fullmatch(r"«identical to \[ctx (\d+)\]»", text):
            bad += int(whole[1]) not in known
            read.append("\n".join(known[int(whole[1])][0]) if int(whole[1]) in known else "")
            continue
        lines: list[str] = []
        for line in text.split("\n"):
            found = _RUN.fullmatch(line)
            run = _lines_of(known, found) if found else [line]
            bad += run is None
            lines += run or []
        if label is not None:
            known[label] = (lines, _printed(lines))
        read.append("\n".join(lines))
    return read, bad


def _printed(lines: list[str]) -> dict[int, int]:
    printed: dict[int, int] = {}
    for place, line in enumerate(lines):
        if head := _head(line):
            printed.setdefault(int(head[2]), place)
    return printed


def _lines_of(known: _Known, found: re.Match[str]) -> list[str] | None:
    a, b, c, d, n = (int(found[name]) for name in "abcdn")
    if n not in known or b - a != d - c:
        return None
    lines, printed = known[n]
    if c in printed and d in printed and printed[d] - printed[c] == d - c:
        picked = lines[printed[c] : printed[d] + 1]
        return [_shown(line, a + offset, bool(found["bare"])) for offset, line in enumerate(picked)]
    return lines[c - 1 : d] if c >= 1 and d <= len(lines) else None


def _head(line: str) -> re.Match[str] | None:
    return re.match(r"( *)(\d+)(→|\t|: |\|)", line)


def _shown(line: str, number: int, bare: bool) -> str:
    head = _head(line)
    if head is None:
        return line
    if bare:
        return line[head.end() :]
    return str(number).rjust(head.end(2)) + line[head.end(2) :]
