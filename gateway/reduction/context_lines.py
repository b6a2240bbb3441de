"""Which lines of a conversation must outlive it: errors, failing tests, wishes, decisions.

The patterns lean towards keeping: a line too many costs a few tokens, one too few may cost the
task. What they must find is in the labelled corpus of the tests.
"""

import re
from collections.abc import Iterator
from typing import Literal

from gateway.structs import Struct

LineKind = Literal["wish", "error", "decision"]

MOST_LINE_CHARS = 600
"""A longer line of a tool or the assistant is quoted up to here."""

MOST_WISH_CHARS = 2_000
"""The same for what a person said."""

_EDGE_LINES = 3
_MOST_TRACE_LINES = 40
_MOST_ERROR_LINES = 60  # of one text

_ERROR = re.compile(
    r"\b[A-Za-z]\w*(?:Error|Exception)\b"
    r"|\b(?:error|fatal|panic|panicked|failed|failing|failure|failures|fail|aborted|killed|crash(?:ed)?"
    r"|traceback|unresolved|undefined|unexpected|mismatch|deadlock|oom)\b"
    r"|segmentation fault|core dumped|permission denied|access denied|no such file"
    r"|command not found"
    r"|cannot find|can't find|could not|cannot |timed out|out of memory|not ok \d"
    r"|exit(?:ed with)?(?: code| status)? [1-9]|\bE\d{4}\b|\bTS\d{4}\b"
    r"|^E {2,}\S|[\u2715\u2717\u2716\u00d7\u25cf\u274c]",
    re.IGNORECASE | re.MULTILINE,
)
# What lower-case text must have somewhere for `_ERROR` to find anything: asked first, since that
# looks for all of its words at every character.
_ERROR_SEEDS = (
    "err", "exception", "fatal", "panic", "fail", "abort", "kill", "crash", "traceback",
    "unresolved", "undefined", "unexpected", "mismatch", "deadlock", "oom", "fault", "core dumped",
    "denied", "no such file", "not found", "cannot ", "can't find", "could not", "timed out",
    "out of memory", "not ok", "exit", "e  ", *"\u2715\u2717\u2716\u00d7\u25cf\u274c",
)  # fmt: skip
_ODD_LETTERS = "\u0130\u0131\u017f\u212a"  # I, i, s and k to IGNORECASE, but not in lower case
_CODE_SEED = re.compile(r"[es]\d\d\d\d")
_NO_ERROR = re.compile(
    r"\b(?:0|no|zero|without) (?:errors?|failures?|failed|failing)\b"
    r"|\b(?:errors?|failures?|failed): ?0\b",
    re.IGNORECASE,
)
_TRACE_HEAD = re.compile(r"^\s*(?:Traceback \(most recent call last\)|goroutine \d+ \[)")
_TRACE_LINE = re.compile(
    r"^\s+at [\w<(/@]|^\s*File \".*\", line \d+|^\s*Caused by:|^\s*-->|^\s*\d* ?\|"
    r"|^\s+\S+\.go:\d+|^\s*\^+|^\s+\.\.\. \d+ more|^\s*= (?:note|help):|^E\s|^\s*#\d+ "
    r"|^\s*(?:During handling of|The above exception)|^[\w/.-]+\.\w+:\d+: "
)

_WISH = re.compile(
    r"\b(?:must(?:n't| not)?|never|always|don'?t|do not|shall|should(?:n't)?|need(?:s|ed)? to"
    r"|required?|requirements?|constraints?|acceptance|criteria|make sure|ensure|important|only"
    r"|avoid|at (?:most|least)|no (?:more|less|fewer) than|backwards?|compatible|compatibility"
    r"|without \w+ing|instead|rather than|actually|wrong|incorrect|revert|undo|stop|forgot|missed"
    r"|broke|still|again|i (?:said|meant|asked|told|want|prefer|expect)|keep|remember|use"
    r"|deadline|definition of done)\b|^\s*(?:no|nope|wait|hold on)\b",
    re.IGNORECASE,
)
_WISH_HEADING = re.compile(
    r"\b(?:acceptance criteria|requirements?|constraints?|definition of done|must[- ]haves?|rules"
    r"|non-?goals|out of scope)\b",
    re.IGNORECASE,
)
_LIST_ITEM = re.compile(r"^\s*(?:[-*•+]|\d+[.)]|\[[ xX]\])\s+\S")

_DECISION = re.compile(
    r"\b(?:decid\w+|decision|going (?:to|with)|go with|we(?:'ll| will)|i(?:'ll| will)|let'?s"
    r"|ch(?:oose|ose|osen)|settled on|opt(?:ed|ing) for|instead of|rather than|root cause"
    r"|the (?:fix|bug|problem|cause|issue|reason)\b|because|turns out|conclusion|trade-?offs?"
    r"|workaround|approach|plan is|design|must|never|fixed|implemented|verified|all tests pass"
    r"|remaining|todo|next step)\b",
    re.IGNORECASE,
)
_FENCE = "```"


class Line(Struct, frozen=True):
    """A line worth keeping, as it stood, and why."""

    kind: LineKind
    text: str


def error_lines(text: str) -> list[str]:
    """The lines of a tool's output that tell of a failure, stack traces whole."""
    if not may_tell_of_error(text):
        return []
    found: list[str] = []
    is_told = False
    trace_left, in_trace = 0, False
    for line in text.splitlines():
        tells = tells_of_error(line)
        is_told = is_told or tells
        if _TRACE_HEAD.match(line):
            in_trace, trace_left = True, _MOST_TRACE_LINES
        is_error = tells and not _denies_error(line)
        kept = in_trace or is_error or (trace_left > 0 and _TRACE_LINE.search(line))
        if kept and line.strip():
            found.append(shortened(line))
            trace_left = trace_left - 1 if in_trace or trace_left else _MOST_TRACE_LINES
        if in_trace and (trace_left <= 0 or (line[:1].strip() and not _TRACE_HEAD.match(line))):
            in_trace = False  # the line of the exception itself ends its trace
    return _ends(found) if is_told else []


def may_tell_of_error(text: str) -> bool:
    """False for a text that tells of no failure: a look that costs little."""
    lowered = text.lower()
    found = any(map(lowered.__contains__, _ERROR_SEEDS))
    if not found and not text.isascii():
        found = any(map(text.__contains__, _ODD_LETTERS))
    return found or _CODE_SEED.search(lowered) is not None


def tells_of_error(line: str) -> bool:
    """True when the words of a failure stand in a line, be it to say that there was none."""
    return may_tell_of_error(line) and _ERROR.search(line) is not None


def _denies_error(line: str) -> bool:
    return _NO_ERROR.search(line) is not None


def _ends(lines: list[str]) -> list[str]:
    """The first and the last of too many lines: what went wrong first, and the verdict."""
    if len(lines) <= _MOST_ERROR_LINES:
        return lines
    half = _MOST_ERROR_LINES // 2
    return [*lines[:half], *lines[-half:]]


def is_wish(line: str) -> bool:
    """True for a line that demands, forbids or corrects something."""
    return _WISH.search(line) is not None


def user_lines(text: str) -> list[Line]:
    """What a person wants, corrects or reports, out of a long text; pasted code is left out.

    Wishes stand at the beginning or the end of a long text, if nowhere else.
    """
    found: list[Line] = []
    in_list = False
    prose = [line for line in _prose(text) if line.strip()]
    edges = {*prose[:_EDGE_LINES], *prose[-_EDGE_LINES:]}
    for line in prose:
        item = _LIST_ITEM.match(line) is not None
        if in_list and item:
            found.append(Line("wish", shortened(line, MOST_WISH_CHARS)))
            continue
        heading = _WISH_HEADING.search(line, line.rfind(".") + 1) is not None
        in_list = heading
        if heading or line in edges or is_wish(line):
            found.append(Line("wish", shortened(line, MOST_WISH_CHARS)))
        elif tells_of_error(line) and not _denies_error(line):
            found.append(Line("error", shortened(line)))
    return found


def decision_lines(text: str) -> list[str]:
    """What the assistant decided or found out, line by line."""
    return [shortened(line) for line in _prose(text) if _DECISION.search(line)]


def fenced_errors(text: str) -> list[str]:
    """The lines that tell of a failure in the fenced parts of a text."""
    parts = text.split(_FENCE)[1::2]
    return [line for part in parts for line in error_lines(part)]


def _prose(text: str) -> Iterator[str]:
    """The lines outside of code fences that have any text."""
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith(_FENCE):
            fenced = not fenced
        elif not fenced:
            yield line


def shortened(line: str, most_chars: int = MOST_LINE_CHARS) -> str:
    """The line, up to what is quoted of one."""
    line = line.rstrip()
    if len(line) <= most_chars:
        return line
    return f"{line[:most_chars]} [... {len(line) - most_chars} characters removed ...]"
