"""System lines that change from request to request: clocks, counters, the state of a work tree.

One such line kills the cached prefix of everything behind it. It is taken out of the system text
and sent behind the history instead. Nothing is lost, the order changes; it is reported.
"""

import re
from collections.abc import Iterable

from gateway.protocols.shared.digests import digest
from gateway.structs import Struct
from gateway.wire import JSONObject

LINE_DIGEST_BYTES = 4
_MOST_LINES = 8  # more is another system text, not the same one at another time
_MOST_KEPT = 4_000

_TIME = re.compile(r"\d{1,2}:\d{2}")
_CLOCK = re.compile(
    r"""(?x)
    \d{4}-\d{2}-\d{2}[T ]\d{1,2}:\d{2}                             # 2026-11-25T02:10:33Z
    | \d{1,2}[./]\d{1,2}[./]\d{2,4},?[ ]+(at[ ])?\d{1,2}:\d{2}     # 11/25/2026, 2:10:33 PM
    | (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?[ ]+
      \d{1,2}[^\n]{0,20}?\d{1,2}:\d{2}                             # Tue Nov 25 02:10:33 UTC 2026
    | \d{1,2}[ ](?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*
      [^\n]{0,20}?\d{1,2}:\d{2}                                    # 25 Nov 2026 02:10
    | (?i:current|local)[ ](?i:date[ ]and[ ])?(?i:time)\b[^\n]{0,40}?\d{1,2}:\d{2}
    """
)


class SystemLines(Struct, frozen=True, array_like=True):
    """The lines of a system text: `digests` has 4 bytes each, `moved` the places that change."""

    digests: bytes = b""
    moved: tuple[int, ...] = ()


class Settled(Struct, frozen=True):
    """A system text without its changing lines, and those lines; what to remember of it."""

    blocks: list[JSONObject]
    moved: list[str]
    known: SystemLines


def settle_system(blocks: list[JSONObject], previous: SystemLines | None) -> Settled:
    """A system text without the lines that `changing_lines` finds."""
    return without_lines(blocks, changing_lines(blocks, previous))


def changing_lines(blocks: list[JSONObject], previous: SystemLines | None) -> SystemLines:
    """Find the lines that name a time of day, and those that have changed since `previous`.

    A line that was found to change stays out for the rest of the conversation, so that the system
    text stays the same. Where most of a text has changed, it is another one.
    """
    lines = [block["text"].split("\n") for block in blocks]
    digests = _digests(lines)
    moved = set(_with_clock(blocks, lines))
    if previous is not None and digests and len(previous.digests) == len(digests):
        moved |= set(previous.moved)
        changed = set(_changed(previous.digests, digests)) - moved
        said = sum(1 for each in lines for line in each if line.strip()) - len(moved)
        if len(changed) <= min(_MOST_LINES, said // 2):
            moved |= changed
    return SystemLines(digests, tuple(sorted(moved)))


def without_lines(blocks: list[JSONObject], known: SystemLines) -> Settled:
    """The blocks of a text without its changing lines, which `known` tells."""
    if not known.moved:
        return Settled(blocks, [], known)
    return _without(blocks, [block["text"].split("\n") for block in blocks], known)


def _digests(lines: list[list[str]]) -> bytes:
    count = sum(len(each) for each in lines)
    if count > _MOST_KEPT:
        return b""
    return b"".join(
        digest(line.encode("utf-8", "surrogatepass"))[:LINE_DIGEST_BYTES]
        for each in lines
        for line in each
    )


def _with_clock(blocks: list[JSONObject], lines: list[list[str]]) -> Iterable[int]:
    place = 0
    for block, its_lines in zip(blocks, lines, strict=True):
        if _TIME.search(block["text"]):
            for offset, line in enumerate(its_lines):
                if _TIME.search(line) and _CLOCK.search(line):
                    yield place + offset
        place += len(its_lines)


def _changed(old: bytes, new: bytes) -> list[int]:
    if old == new:
        return []
    size = LINE_DIGEST_BYTES
    return [
        index // size
        for index in range(0, len(new), size)
        if old[index : index + size] != new[index : index + size]
    ]


def _without(blocks: list[JSONObject], lines: list[list[str]], known: SystemLines) -> Settled:
    kept: list[JSONObject] = []
    moved: list[str] = []
    out = set(known.moved)
    place = 0
    for block, its_lines in zip(blocks, lines, strict=True):
        stay: list[str] = []
        for line in its_lines:
            if place not in out:
                stay.append(line)
            elif line.strip():
                moved.append(line)
            place += 1
        text = "\n".join(stay)
        if len(stay) == len(its_lines):
            kept.append(block)
        elif text.strip():
            kept.append({**block, "text": text})
    return Settled(kept, moved, known)
