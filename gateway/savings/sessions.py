"""Recorded sessions out of files, whatever wrote them; the format is told by the content.

Read are the neutral format, the logs of Claude Code and those of Continue, plain or compressed by
gzip. What cannot be read is reported with its file and line and left out.
"""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from gateway import wire
from gateway.savings import claude_code_log, continue_log, neutral_format
from gateway.savings.neutral_format import Line
from gateway.savings.session import Problem, Reading, Session, SessionError
from gateway.structs import Struct, field

_SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz")
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's word for "with the head and checksum of gzip"
_PIECE_BYTES = 2**20
_PACKED_BYTES = 2**16  # grows by a thousand at most
_MOST_BYTES = 2**30  # of one file, uncompressed: more is no log of a conversation


class Sessions(Struct, frozen=True):
    """The sessions of some files, and what was left out."""

    sessions: list[Session] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_all(paths: Sequence[Path]) -> Sessions:
    """The sessions of `paths`, folders with everything below them.

    Of two records of one conversation by one client the longer counts. Raises SessionError, naming
    the path, for one that is not there or holds no sessions.
    """
    found: dict[tuple[str, str, str], Session] = {}
    problems: list[Problem] = []
    for path in paths:
        sessions = 0
        for file in _files(path):
            reading = read_file(file, is_named=file == path)
            problems += reading.problems
            sessions += len(reading.sessions)
            for session in reading.sessions:
                _keep_longer(found, session)
        if not sessions:
            raise SessionError(f"{path}: {_first(problems) or 'holds no recorded sessions'}")
    return Sessions(list(found.values()), problems)


def _keep_longer(found: dict[tuple[str, str, str], Session], session: Session) -> None:
    key = (session.client, session.kind, session.id)
    other = found.get(key)
    if other is None or len(other.requests) < len(session.requests):
        found[key] = session


def _first(problems: list[Problem]) -> str:
    return f"holds no recorded sessions; {problems[0]}" if problems else ""


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise SessionError(f"{path}: there is no such file or folder")
    if not path.is_dir():
        return [path]
    return sorted(
        file for file in path.rglob("*") if file.name.endswith(_SUFFIXES) and file.is_file()
    )


def read_file(path: Path, *, is_named: bool = True) -> Reading:
    """The sessions of one file. A file that was only met in a folder may be of another kind."""
    reading = Reading(path)
    data = _content(path, reading)
    if _read_document(data, reading):
        return _checked(reading)
    lines = list(_lines(data, reading))
    if neutral_format.is_neutral(lines):
        neutral_format.read_neutral(lines, reading)
    elif claude_code_log.is_claude_code(lines):
        claude_code_log.read_claude_code(lines, reading)
    elif continue_log.is_interactions(lines):
        continue_log.read_interactions(lines, reading)
    elif is_named:
        raise SessionError(
            f"{path}: is no recorded session; known are the gateway's own export and the logs of "
            "Claude Code and Continue"
        )
    else:
        return Reading(path)
    return _checked(reading)


def _read_document(data: bytes, reading: Reading) -> bool:
    """True when the file is one JSON value, of a client that writes such."""
    try:
        value = wire.loads(data)
    except wire.JSONDecodeError:
        return False
    if continue_log.is_session(value):
        continue_log.read_session(value, reading)
        return True
    return continue_log.is_index(value)


def _checked(reading: Reading) -> Reading:
    empty = [session for session in reading.sessions if not session.requests]
    for session in empty:
        reading.problem(f"session {session.id} has no request")
    reading.sessions = [session for session in reading.sessions if session.requests]
    return reading


def _content(path: Path, reading: Reading) -> bytes:
    """The bytes of a file, uncompressed; of a broken archive those before the break."""
    pieces: list[bytes] = []
    size = 0
    try:
        with path.open("rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            for piece in _unpacked(file) if packed else iter(lambda: file.read(_PIECE_BYTES), b""):
                pieces.append(piece)
                size += len(piece)
                if size > _MOST_BYTES:
                    raise SessionError(f"{path}: is larger than {_MOST_BYTES // 2**20} MB")
    except (EOFError, zlib.error) as error:
        reading.problem(f"the compressed data is broken: {error}")
    except OSError as error:
        raise SessionError(f"{path}: cannot be read: {error.strerror or error}") from error
    return b"".join(pieces)


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    """What is in a gzip file, as it comes. Raises zlib.error or EOFError where it breaks off.

    Python's own reader of such files keeps back what stands right before the break.
    """
    unpacking = zlib.decompressobj(_GZIP_WINDOW)
    while data := file.read(_PACKED_BYTES):
        while data:
            if unpacking.eof:  # another member follows
                unpacking = zlib.decompressobj(_GZIP_WINDOW)
            yield unpacking.decompress(data)
            data = unpacking.unused_data
    if not unpacking.eof:
        raise EOFError("it ends in the middle")


def _lines(data: bytes, reading: Reading) -> Iterator[Line]:
    """The objects of a file, line by line; lines that are none are reported."""
    for number, raw in enumerate(data.split(b"\n"), 1):
        if not raw.strip():
            continue
        try:
            value = wire.loads(raw)
        except wire.JSONDecodeError:
            reading.problem("is not valid JSON", number)
            continue
        if isinstance(value, dict):
            yield number, value
        else:
            reading.problem("is no JSON object", number)
