"""Configuration files of clients: what would change, and the change itself, with a backup."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from gateway.cli.clients import jsonc, toml_text, yaml_text
from gateway.cli.clients.tree import EditError, Tree, merged
from gateway.stack.data_directory import write_atomically
from gateway.stack.run_as import RunAs

Syntax: TypeAlias = Literal["json", "toml", "yaml"]
"""How a file is written; `json` may have comments."""

_BOM = "\ufeff"
_MOST_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A client's file and what must stand in it; `secret` when the key is a part of that."""

    path: Path
    syntax: Syntax
    wanted: Tree = field(repr=False)
    secret: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A file before and after; `old` is None for a file that is not there yet."""

    path: Path
    old: bytes | None = field(repr=False)
    new: bytes = field(repr=False)
    secret: bool


@dataclass(frozen=True, slots=True)
class _Format:
    read: Callable[[str], Tree]
    edit: Callable[[str, Tree], str]
    render: Callable[[Tree], str]


def _format(syntax: Syntax) -> _Format:
    module = {"json": jsonc, "toml": toml_text, "yaml": yaml_text}[syntax]
    return _Format(module.read, module.edit, module.render)


def fragment(file: ConfigFile) -> str:
    """What must stand in the file, as a file of its own."""
    return _format(file.syntax).render(file.wanted)


def plan(file: ConfigFile) -> Change | None:
    """What writing would change; None when the file has it all. Raises EditError.

    A file that is a link stays one: what it points to is changed.
    """
    try:
        path = file.path.resolve()
        old = _read(path)
        new = _edited(old or b"", file)
    except (EditError, OSError, RuntimeError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise EditError(f"{file.path} cannot be changed, nothing was written: {what}") from error
    return Change(path, old, new, file.secret) if new != old else None


def _read(path: Path) -> bytes | None:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise EditError("it is too large for a configuration file")
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _edited(old: bytes, file: ConfigFile) -> bytes:
    """The new content, read back and compared with what it must say."""
    try:
        text = old.decode()
    except UnicodeDecodeError as error:
        raise EditError("it is not UTF-8 text") from error
    bom = _BOM if text.startswith(_BOM) else ""
    windows = "\r\n" in text and text.count("\r\n") == text.count("\n")
    text = text.removeprefix(_BOM)
    text = text.replace("\r\n", "\n") if windows else text
    form = _format(file.syntax)
    present = form.read(text)
    expected = merged(present, file.wanted)
    if expected == present:
        return old
    new = form.edit(text, file.wanted)
    if form.read(new) != expected:
        raise EditError("it is written in a way that cannot be edited safely")
    return (bom + (new.replace("\n", "\r\n") if windows else new)).encode()


def write(change: Change, now: datetime) -> Path | None:
    """Replace the file; the path of the backup, None for a new file. Raises EditError.

    New directories are 0700 and new files 0600; a file that now holds a key becomes 0600 too.
    """
    try:
        _make_parents(change.path.parent)
        if _read(change.path) != change.old:
            raise EditError(f"{change.path} was changed by somebody else just now; try again")
        if change.old is None:
            write_atomically(change.path, change.new)
            return None
        before = change.path.stat()
        backup = _back_up(change.path, change.old, now, before)
        write_atomically(change.path, change.new, _owner(before))
        if not change.secret:
            change.path.chmod(stat.S_IMODE(before.st_mode))
    except OSError as error:
        raise EditError(f"{change.path} cannot be written: {error.strerror}") from error
    return backup


def _make_parents(directory: Path) -> None:
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def _back_up(path: Path, content: bytes, now: datetime, before: os.stat_result) -> Path:
    backup = path.with_name(f"{path.name}.{now:%Y%m%dT%H%M%S.%fZ}.bak")
    descriptor = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if (owner := _owner(before)) is not None:
            os.fchown(file.fileno(), owner.uid, owner.gid)
    return backup


def _owner(before: os.stat_result) -> RunAs | None:
    """Whom the new file is given to, when root works on another user's."""
    return RunAs("", before.st_uid, before.st_gid) if os.geteuid() == 0 else None
