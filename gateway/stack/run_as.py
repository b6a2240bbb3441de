"""Which user PostgreSQL runs as, since it refuses to run as root."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from gateway.stack.errors import StackError

_PREFERRED = ("coding-gateway", "postgres", "nobody")


@dataclass(frozen=True, slots=True)
class RunAs:
    """A user other than ours for a child process."""

    name: str
    uid: int
    gid: int


def choose(cluster: Path) -> RunAs | None:
    """The user for the cluster in `cluster`; None when this process is no root and stays itself.

    An existing cluster decides by its owner: users may have been added since it was made.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists():
        owner = cluster.stat()
        if owner.st_uid == 0:
            raise StackError(
                f"{cluster} belongs to root, and PostgreSQL does not run as root",
                mend=f"chown -R it to the user it was made by, or move {cluster} away",
            )
        return RunAs(_name_of(owner.st_uid), owner.st_uid, owner.st_gid)
    for name in _PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunAs(name, entry.pw_uid, entry.pw_gid)
    raise StackError(
        "PostgreSQL does not run as root and there is no user to run it as",
        mend="useradd --system coding-gateway",
    )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def can_enter(path: Path, user: RunAs | None) -> bool:
    """True when `user` may pass through every directory down to `path` (None: ourselves)."""
    if user is None:
        return os.access(path, os.X_OK)
    resolved = path.resolve()
    return all(
        _may(step.stat(), user, stat.S_IXUSR)
        for step in (*reversed(resolved.parents), resolved)
        if step.exists()
    )


def _may(entry: os.stat_result, user: RunAs, owner_bit: int) -> bool:
    if entry.st_uid == user.uid:
        return bool(entry.st_mode & owner_bit)
    if entry.st_gid == user.gid:
        return bool(entry.st_mode & (owner_bit >> 3))
    return bool(entry.st_mode & (owner_bit >> 6))
