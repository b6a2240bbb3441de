"""Repeated text is sent once: later copies become references to the earlier one.

Lossless and write-once: what is sent for a text depends on it and on earlier texts only, and every
reference leads to literal text that stands earlier in the same request. Whatever the decoder would
not give back to the byte is sent as it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.policies import References
from gateway.protocols.shared.digests import BlockDigests
from gateway.reduction.reference_notation import (
    NOTATION,
    BadReferenceError,
    Numbered,
    Source,
    decoded,
    holds_references,
    is_same,
    label,
    lines_of,
    numbered,
    same_as,
    split_label,
)
from gateway.reduction.texts import Text, read_texts, write_texts
from gateway.storage.shelf import Shelf
from gateway.wire import JSONObject

__all__ = [
    "NOTATION",
    "ReferenceCache",
    "decode_references",
    "encode_references",
    "references_wanted",
]

MIN_CHARS = 320
"""Texts, and runs of lines, that are shorter are sent as they are."""

MIN_LINES = 4
_KEY_LINES = 3
_PATIENCE_LINES = 24  # of comparisons in vain for each line; real texts take one or two
_OUTLINE_CHARS = 48
_MOST_CANDIDATES = 6
_WORTH_EXPLAINING_CHARS = 3_000  # the notation costs a small conversation more than it saves

_CACHED_CONVERSATIONS = 64
_CACHED_CHARS = 12 * 2**20


def references_wanted(body: JSONObject, digests: BlockDigests) -> bool:
    """True when explaining the notation can pay: an agent's tools and task, or one long text.

    Looks at what stands before the first answer of the assistant, which never changes.
    """
    opening = 0
    for message in body["messages"]:
        if message["role"] == "assistant":
            break
        for block in message["content"]:
            size = len(block["text"]) if block["type"] == "text" else 0
            if size >= _WORTH_EXPLAINING_CHARS:
                return True
            opening += size
    if not body.get("tools"):
        return False
    head = (*body["tools"], *(body.get("system") or ()))
    return opening + sum(digests.look(block).size for block in head) >= _WORTH_EXPLAINING_CHARS


def encode_references(
    texts: list[Text],
    mode: References,
    cache: "ReferenceCache | None" = None,
    conversation: str = "",
) -> None:
    """Give texts of users and tools their labels, and references for what stands in earlier ones.

    `cache` saves the work that earlier requests of `conversation` have done; it changes nothing.
    """
    if mode == "off":
        return
    eligible = [text for text in texts if text.kind != "system" and _is_eligible(text.value)]
    values = [text.value for text in eligible]
    if mode == "runs" and cache is not None:
        encoder = cache.encoder(conversation, values)
    else:
        encoder = _Encoder(with_runs=mode == "runs")
    for text, sent in zip(eligible, encoder.encode(values), strict=True):
        text.value = sent


def decode_references(body: JSONObject) -> JSONObject:
    """The body with every reference resolved and no label. Raises BadReferenceError."""
    texts = read_texts(body)
    sources: dict[int, Source] = {}
    for text in texts:
        number, bare = split_label(text.value)
        text.value = decoded(bare, sources)
        if number is not None and not is_same(bare):
            sources[number] = Source(number, text.value.split("\n"))
    return write_texts(body, texts)


def _is_eligible(value: str) -> bool:
    """True for long texts, and for those that would be read as having a label already."""
    return len(value) >= MIN_CHARS or split_label(value)[0] is not None


@dataclass(slots=True)
class _Literal:
    """A text that was sent: what lies literally in it, line by line."""

    source: Source
    keys: list[str]
    numbers: list[Numbered | None]
    literal: list[bool]
    patience: int = 0
    """Lines that may yet be compared in vain: texts can be made to be slow, real ones are not."""


@dataclass(frozen=True, slots=True)
class _Run:
    """So many lines that stand in an earlier text, from its line `there` on."""

    text: _Literal
    there: int
    count: int
    bare: bool


@dataclass(slots=True)
class _Encoder:
    """The texts of one conversation so far, and what is sent for them."""

    with_runs: bool
    values: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    chars: int = 0
    _count: int = 0
    _whole: dict[tuple[int, str, str], list[tuple[str, int]]] = field(default_factory=dict)
    _sources: dict[int, Source] = field(default_factory=dict)
    _index: dict[tuple[str, str, str], list[tuple[_Literal, int]]] = field(default_factory=dict)

    def continues(self, values: list[str]) -> bool:
        """True when `values` begin with everything encoded so far."""
        return values[: len(self.values)] == self.values

    def encode(self, values: list[str]) -> Iterable[str]:
        """What is sent for `values`, which begin with everything encoded so far."""
        for value in values[len(self.values) :]:
            self.values.append(value)
            self.chars += len(value)
            self.sent.append(self._encoded(value))
        return self.sent

    def _encoded(self, value: str) -> str:
        if holds_references(value):
            return value
        self._count += 1
        number = self._count
        repeats = self._whole.get(_outline(value), ()) if len(value) >= MIN_CHARS else ()
        for earlier, its_number in repeats:
            if earlier == value:
                return label(number) + same_as(its_number)
        if self.with_runs:
            return label(number) + self._with_runs(value, number)
        self._remember_whole(value, number)
        return label(number) + value

    def _remember_whole(self, value: str, number: int) -> None:
        self._whole.setdefault(_outline(value), []).append((value, number))

    def _with_runs(self, value: str, number: int) -> str:
        lines = value.split("\n")
        numbers = [numbered(line) if _may_be_numbered(line) else None for line in lines]
        keys = [
            line if parts is None else parts.rest
            for line, parts in zip(lines, numbers, strict=True)
        ]
        patience = _PATIENCE_LINES * (len(lines) + _PATIENCE_LINES)
        text = _Literal(Source(number, lines), keys, numbers, [True] * len(lines), patience)
        sent = self._replaced(text)
        if sent is None or not self._is_faithful(sent, value):
            text.literal = [True] * len(lines)
            sent = value
            self._remember_whole(value, number)
        self._sources[number] = text.source
        self._add_to_index(text)
        return sent

    def _is_faithful(self, sent: str, value: str) -> bool:
        try:
            return decoded(sent, self._sources) == value
        except BadReferenceError:
            return False

    def _replaced(self, text: _Literal) -> str | None:
        """The text with references for runs of lines, None when there is none to be had."""
        lines, out = text.source.lines, []
        place, found = 0, False
        while place < len(lines):
            run = self._longest_run(text, place)
            if run is None:
                out.append(lines[place])
                place += 1
                continue
            found = True
            out.append(_reference(text, place, run))
            text.literal[place : place + run.count] = [False] * run.count
            place += run.count
        return "\n".join(out) if found else None

    def _longest_run(self, text: _Literal, place: int) -> _Run | None:
        keys = text.keys
        if place + MIN_LINES > len(keys) or text.patience < 0:
            return None
        candidates = self._index.get((keys[place], keys[place + 1], keys[place + 2]))
        best: _Run | None = None
        for earlier, there in (candidates or ())[:_MOST_CANDIDATES]:
            run = _run(text, place, earlier, there)
            text.patience -= 1 if run is None else run.count
            if run is not None and (best is None or run.count > best.count):
                best = run
        if best is None or best.count < MIN_LINES:
            return None
        lines = text.source.lines[place : place + best.count]
        if sum(map(len, lines)) + len(lines) < MIN_CHARS:
            return None
        text.patience += best.count
        return best

    def _add_to_index(self, text: _Literal) -> None:
        keys, literal, index = text.keys, text.literal, self._index
        for place in range(len(keys) - _KEY_LINES + 1):
            if literal[place] and literal[place + 1] and literal[place + 2]:
                key = (keys[place], keys[place + 1], keys[place + 2])
                places = index.setdefault(key, [])
                if len(places) < _MOST_CANDIDATES:
                    places.append((text, place))


def _outline(value: str) -> tuple[int, str, str]:
    """What identical texts have in common; much cheaper than a hash of all of it."""
    return len(value), value[:_OUTLINE_CHARS], value[-_OUTLINE_CHARS:]


def _may_be_numbered(line: str) -> bool:
    """A cheap look before the regular expression."""
    stripped = line.lstrip(" ")[:1]
    return stripped.isdigit()


def _run(text: _Literal, place: int, earlier: _Literal, there: int) -> _Run | None:
    """How far the lines from `place` on are those of `earlier` from `there` on."""
    first, source = text.numbers[place], earlier.numbers[there]
    if source is None and first is not None:
        return None
    bare = source is not None and first is None
    most = min(len(text.keys) - place, len(earlier.keys) - there)
    count = 0
    while count < most and _agree(text, place + count, earlier, there + count, source, first):
        if source is not None:
            now = earlier.numbers[there + count]
            if now is None or now.number != source.number + count:
                break
        count += 1
    return _Run(earlier, there, count, bare) if count else None


def _agree(
    text: _Literal,
    here: int,
    earlier: _Literal,
    there: int,
    source: Numbered | None,
    first: Numbered | None,
) -> bool:
    if text.keys[here] != earlier.keys[there] or not earlier.literal[there]:
        return False
    mine, theirs = text.numbers[here], earlier.numbers[there]
    if first is None or source is None:
        # Bare here: the line must be what follows the number there, or the very same line.
        return mine is None and (theirs is None) is (source is None)
    if mine is None or theirs is None:
        return False
    expected = first.number + (theirs.number - source.number)
    return theirs.renumbered(expected) == text.source.lines[here]


def _reference(text: _Literal, place: int, run: _Run) -> str:
    mine, theirs = text.numbers[place], run.text.numbers[run.there]
    here = place + 1 if mine is None else mine.number
    there = run.there + 1 if theirs is None else theirs.number
    last = run.count - 1
    return lines_of(
        (here, here + last), (there, there + last), run.text.source.number, bare=run.bare
    )


class ReferenceCache:
    """The work of earlier requests, by conversation, for `ttl_seconds`; only ever saves time."""

    def __init__(self, ttl_seconds: float) -> None:
        self._ttl_seconds = ttl_seconds
        self._encoders: Shelf[str, _Encoder] = Shelf(
            max_entries=_CACHED_CONVERSATIONS, max_size=_CACHED_CHARS
        )

    def encoder(self, conversation: str, values: list[str]) -> _Encoder:
        """An encoder that has seen a beginning of `values`, and nothing else."""
        encoder = self._encoders.get(conversation)
        if encoder is None or not encoder.continues(values):
            encoder = _Encoder(with_runs=True)
        chars = sum(len(value) for value in values)
        self._encoders.put(conversation, encoder, self._ttl_seconds, chars)
        return encoder
