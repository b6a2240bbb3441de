"""Reads texts with references back, from what is sent alone."""

from collections.abc import Mapping

from gateway.reduction.reference_notation import (
    LABEL_OPENING,
    identical_label,
    read_run,
    run_lines,
    split_label,
)
from gateway.reduction.reference_source import SourceText


class BadReferenceError(ValueError):
    """A reference names a text or lines that do not stand before it; the message says which."""


class ReferenceReader:
    """Reads the texts of one request in the order in which they are sent; not thread-safe."""

    def __init__(self) -> None:
        self._sources: dict[int, SourceText] = {}

    def read(self, text: str) -> str:
        """The text as it was before it was encoded. Raises BadReferenceError."""
        split = split_label(text)
        if split is None:
            label = identical_label(text)
            return text if label is None else _source(self._sources, label).text
        label, value = split
        if not reads_like_notation(value):
            value = read_runs(value, self._sources)
        self._sources[label] = SourceText(value, label)
        return value

    def resolved(self, text: str) -> str:
        """The text as a reader takes it who minds references where no label is, too."""
        value = self.read(text)
        return value if split_label(text) is not None else read_runs(value, self._sources)


def reads_like_notation(text: str) -> bool:
    """True for a text that would be taken for a label or a reference as a whole."""
    return text.startswith(LABEL_OPENING) or identical_label(text) is not None


def read_runs(body: str, sources: Mapping[int, SourceText]) -> str:
    """`body` with the lines that its references stand for. Raises BadReferenceError."""
    parts: list[str] = []
    done = 0
    for found in run_lines(body):
        run = read_run(found)
        lines = _source(sources, run.label).expand(run) if run is not None else None
        if lines is None:
            raise BadReferenceError(f"no such lines: {found[0]}")
        parts += (body[done : found.start()], lines)
        done = found.end()
    return "".join((*parts, body[done:])) if parts else body


def _source(sources: Mapping[int, SourceText], label: int) -> SourceText:
    source = sources.get(label)
    if source is None:
        raise BadReferenceError(f"no text before it has the label [ctx {label}]")
    return source
