"""Files of the journal: made, locked, read and removed.

A file belongs to the process that holds its lock (flock), which dies with the process. So whoever
gets the lock of a file knows that its writer is gone and that the file will not grow again.
"""

import contextlib
import errno
import fcntl
import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from gateway import wire
from gateway.structs import Struct
from gateway.wire import JSONObject

SUFFIX = ".usage.jsonl"
"""How the name of a journal file ends; its name is unique for all time and machines."""

_READ_BYTES = 512 * 1024  # about 250 events, and one transaction
_CLOSE = b'{"record":"close"'  # as every process writes it
_KINDS = (_CLOSE, b'{"record":"open"', b'{"record":"start"')
_MODE = 0o600
_log = logging.getLogger(__name__)


class Segment(Struct):
    """A file this process writes. `size` is the byte after its last whole line.

    `in_flight` counts its requests that are not closed; `retired` says that no new request will be
    opened in it; `torn` that a piece of a line stands after `size`, cut off by a full disk.
    """

    path: Path
    descriptor: int
    size: int = 0
    in_flight: int = 0
    retired: bool = False
    torn: bool = False

    @property
    def is_complete(self) -> bool:
        """True when nothing will ever be written to it again."""
        return self.retired and self.in_flight == 0

    def write(self, line: bytes) -> None:
        """Appends a line with one system call. Raises OSError; then nothing of it counts."""
        if self.torn:
            line = b"\n" + line
        written = os.write(self.descriptor, line)
        if written != len(line):
            self.torn = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        # After a torn line the size is not known from the lengths of what was written.
        self.size = os.fstat(self.descriptor).st_size if self.torn else self.size + written
        self.torn = False

    def remove(self) -> None:
        """Removes the file, then lets go of its lock."""
        self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Lets go of the lock; what is in the file is left to whoever takes it next."""
        os.close(self.descriptor)


def make_segment(directory: Path, writer_id: str) -> Segment:
    """A new empty file, locked by this process. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    while True:
        path = directory / f"{writer_id}-{uuid.uuid4().hex}{SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL, _MODE)
        # Between open and lock another process may have taken the empty file for an orphan.
        if _lock(descriptor) and _is_at(descriptor, path):
            return Segment(path, descriptor)
        os.close(descriptor)


@contextlib.contextmanager
def adopted(path: Path) -> Iterator[bool]:
    """Holds the lock of a file whose writer is gone; gives False when the writer lives."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _lock(descriptor) and _is_at(descriptor, path)
    finally:
        os.close(descriptor)


def files_in(directory: Path) -> list[Path]:
    """The journal files in `directory`, of living and dead writers, by name."""
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [directory / name for name in names if name.endswith(SUFFIX)]


class Chunk(Struct):
    """Whole lines of a file, and the byte after them."""

    lines: list[bytes]
    end: int

    def closes(self) -> list[bytes]:
        """The lines that end a request. What is no line of a journal is left out, and said."""
        for line in self.lines:
            if not line.startswith(_KINDS):
                _warn_of(line)
        return [line for line in self.lines if line.startswith(_CLOSE)]


def read_chunk(path: Path, start: int, limit_bytes: int = _READ_BYTES) -> Chunk:
    """The whole lines from `start` on, about `limit_bytes` of them and at least one.

    A last line without its end is not read: its writer is at it, or was killed in it.
    """
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(limit_bytes)
        if b"\n" not in data and len(data) == limit_bytes:
            data += file.readline()
    complete, newline, _ = data.rpartition(b"\n")
    lines = [line for line in complete.split(b"\n") if line]
    return Chunk(lines, start + len(complete) + len(newline))


def read_all(path: Path) -> Iterator[JSONObject]:
    """Every record of a file, from its beginning."""
    position = 0
    while True:
        chunk = read_chunk(path, position)
        if chunk.end == position:
            return
        for line in chunk.lines:
            record = _record(line)
            if record is not None:
                yield record
        position = chunk.end


def _record(line: bytes) -> JSONObject | None:
    try:
        record = wire.loads(line)
    except wire.JSONDecodeError:
        record = None
    if isinstance(record, dict):
        return record
    _warn_of(line)
    return None


def _warn_of(line: bytes) -> None:
    _log.warning("usage journal: a damaged line of %d bytes was left out", len(line))


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """False when `path` was removed, or made anew, since the descriptor was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
