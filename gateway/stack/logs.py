"""The log files of child processes: rotated at each start, bounded while they run."""

import os
from pathlib import Path

KEPT = 3
"""Older files beside the current one: name.log.1 is the youngest."""

MAX_BYTES = 20_000_000
"""A current file past this is moved to name.log.1 while the process goes on writing."""

_TAIL_BYTES = 8_000


def rotate(path: Path) -> None:
    """Begin a new file: the current one becomes name.log.1, the oldest goes."""
    if not path.exists() or path.stat().st_size == 0:
        return
    _make_room(path)
    path.rename(_older(path, 1))


def shorten(path: Path, max_bytes: int = MAX_BYTES) -> None:
    """Move the content of a file that grew too large to name.log.1 and empty it.

    The process keeps its descriptor, opened for appending, so it writes on at the new end; lines
    written between the copy and the cut are lost, which a log can bear.
    """
    try:
        if path.stat().st_size <= max_bytes:
            return
        _make_room(path)
        with path.open("rb") as current, _older(path, 1).open("wb") as copy:
            while chunk := current.read(1 << 20):
                copy.write(chunk)
        os.truncate(path, 0)
    except FileNotFoundError:
        return


def _make_room(path: Path) -> None:
    for number in range(KEPT - 1, 0, -1):
        older = _older(path, number)
        if older.exists():
            older.replace(_older(path, number + 1))


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log, for the message that says why a process died."""
    try:
        with path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - _TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(line[:300] for line in text.splitlines()[-lines:])
