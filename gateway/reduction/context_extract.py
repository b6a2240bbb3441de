"""What is quoted of the messages that a cut leaves out: a bounded extract, word for word."""

from collections.abc import Sequence

from gateway.reduction.context_calls import deeds_of
from gateway.reduction.context_lines import (
    decision_lines,
    error_lines,
    fenced_errors,
    is_wish,
    user_lines,
)
from gateway.storage.shelf import Shelf
from gateway.structs import Struct, field
from gateway.wire import JSONObject

_SHORT_CHARS = 1_200  # what a person typed is kept whole up to here; longer texts are pasted ones

_WISHES = "What the user said, in order"
_ERRORS = "Errors, failing tests and stack traces, in order"
_EDITED = "Files that were edited or created"
_DECISIONS = "What the assistant decided and found out, in order"
_COMMANDS = "Commands that were run, and their latest outcome"
_READ = "Files that were read"

_SECTIONS = {_WISHES: 0.4, _ERRORS: 0.3, _EDITED: 0.1, _DECISIONS: 0.2, _COMMANDS: 0.1, _READ: 0.1}
"""In order of their weight, with the share each may take before the next had its turn."""

_CACHED_EXTRACTS = 500
_CACHED_CHARS = 8 * 2**20
_CACHED_SECONDS = 3_600

_MARKER_CHARS = 300  # what declares the cut
_NOTE_CHARS = 40  # what a section's title takes beside its name


def extract(removed: Sequence[JSONObject], limit_chars: int) -> str:
    """The text that stands for the `removed` messages, about `limit_chars` long at most.

    Of what does not fit, the oldest lines of the least weighty sections go first.
    """
    sections = _sections(removed)
    left = max(0, limit_chars - _MARKER_CHARS)
    total = left
    for name, share in _SECTIONS.items():
        left -= sections[name].take(min(left, int(total * share)), minor=False)
    for name in _SECTIONS:
        left -= sections[name].take(left, minor=True)
    parts = [declaration(len(removed))]
    parts += [sections[name].shown() for name in _SECTIONS if sections[name].taken]
    return "\n\n".join(parts)


class ExtractCache:
    """The extracts made last. One per process, for speed only: a cut is sent again every turn."""

    def __init__(self) -> None:
        self._made: Shelf[tuple[str, int], str] = Shelf(
            max_entries=_CACHED_EXTRACTS, max_size=_CACHED_CHARS
        )

    def get(self, key: str, removed: Sequence[JSONObject], limit_chars: int) -> str:
        """`extract(removed, limit_chars)`; `key` stands for `removed` (see `summary_key`)."""
        known = self._made.get((key, limit_chars))
        if known is None:
            known = extract(removed, limit_chars)
            self._made.put((key, limit_chars), known, _CACHED_SECONDS, len(known))
        return known


def declaration(messages: int) -> str:
    """The words that declare a cut of so many messages."""
    return (
        f"[... {messages} earlier messages of this conversation removed by the gateway to keep it "
        "short. An extract of them follows; read a file or run a command again where you need "
        "more. ...]"
    )


class _Section(Struct):
    """The lines of one kind; the newest are taken first, as far as they fit, minor ones last."""

    name: str
    lines: dict[str, bool] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def add(self, line: str, *, minor: bool = False) -> None:
        """Add a line; of a repeated one the latest counts."""
        if line.strip():
            self.lines.pop(line, None)
            self.lines[line] = minor

    def take(self, chars: int, *, minor: bool) -> int:
        """Take lines for up to `chars`, minor ones too if wanted, and return how many it took."""
        used = 0 if self.taken else len(self.name) + _NOTE_CHARS
        for line in reversed(self.lines):
            if line in self.taken or (self.lines[line] and not minor):
                continue
            if used + len(line) + 3 > chars:
                break
            self.taken.add(line)
            used += len(line) + 3
        return used if self.taken else 0

    def shown(self) -> str:
        """The section as text; tells when some lines are missing."""
        lines = [f"- {line}" for line in self.lines if line in self.taken]
        missing = len(self.lines) - len(lines)
        note = f" ({missing} more removed by the gateway)" if missing else ""
        return "\n".join([f"{self.name}{note}:", *lines])


def _sections(removed: Sequence[JSONObject]) -> dict[str, _Section]:
    sections = {name: _Section(name) for name in _SECTIONS}
    deeds = deeds_of(removed)
    errors = [(number, line) for number, line in deeds.errors]
    for number, message in enumerate(removed):
        texts = [block["text"] for block in message["content"] if block["type"] == "text"]
        for text in texts:
            if message["role"] == "assistant":
                for line in decision_lines(text):
                    sections[_DECISIONS].add(line)
            else:
                errors += [(number, line) for line in _add_user_text(sections, text)]
    for _, line in sorted(errors, key=lambda each: each[0]):
        sections[_ERRORS].add(line)
    for path, times in deeds.edited.items():
        sections[_EDITED].add(path if times == 1 else f"{path} ({times} times)")
    for command, outcome in deeds.commands.items():
        sections[_COMMANDS].add(f"`{command}`: {outcome}")
    for path in deeds.read:
        sections[_READ].add(path)
    return sections


def _add_user_text(sections: dict[str, _Section], text: str) -> list[str]:
    """Add what a person said; returns the lines that tell of failures."""
    if len(text) <= _SHORT_CHARS:
        for line in text.splitlines():
            sections[_WISHES].add(line.rstrip(), minor=not is_wish(line))
        return []
    errors = fenced_errors(text)
    for found in user_lines(text):
        if found.kind == "wish":
            sections[_WISHES].add(found.text)
        else:
            errors.append(found.text)
    return errors or error_lines(text)
