"""The one directory that holds everything a stack keeps between two runs."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.stack.errors import StackError
from gateway.stack.run_as import RunAs

SYSTEM_HOME = Path("/var/lib/coding-gateway")
"""Where root keeps its data, and what other users must be able to read."""

_LOCK_SECONDS = 1.0  # `status` holds the lock for an instant while it looks
_PRIVATE = 0o700
_PASSABLE = 0o711  # PostgreSQL runs as another user below a directory of root


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Names of the files and directories below `root`."""

    root: Path

    @property
    def keys(self) -> Path:
        """Generated keys and passwords, one file each, 0600."""
        return self.root / "keys"

    @property
    def logs(self) -> Path:
        """One log file for each process."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """What runs now: state file and ready files."""
        return self.root / "run"

    @property
    def postgres(self) -> Path:
        """Home of the PostgreSQL cluster, owned by the user PostgreSQL runs as."""
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        """Valkey's configuration and append-only file."""
        return self.root / "valkey"

    @property
    def temporal(self) -> Path:
        """Temporal's SQLite file and its home directory."""
        return self.root / "temporal"

    @property
    def ports_file(self) -> Path:
        """Ports the embedded servers were given."""
        return self.root / "ports.json"

    @property
    def lock_file(self) -> Path:
        """Locked while a supervisor lives; also the mark of a directory that is ours."""
        return self.root / "stack.lock"

    @property
    def state_file(self) -> Path:
        """Which processes run, see `run_state`."""
        return self.run / "state.json"

    def prepare(self) -> None:
        """Create what is missing, with narrow modes. Raises StackError."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if self.lock_file.exists() or not any(self.root.iterdir()):
                # Only a directory that is ours: --data-dir may name somebody's home.
                self.root.chmod(_PASSABLE if os.geteuid() == 0 else _PRIVATE)
            self.lock_file.touch(mode=0o600)
            for directory in (self.keys, self.logs, self.run, self.valkey, self.temporal):
                directory.mkdir(mode=_PRIVATE, exist_ok=True)
        except OSError as error:
            raise StackError(
                f"the data directory {self.root} cannot be used: {error.strerror}",
                mend="name another one with --data-dir, or give this user the right to write there",
            ) from error

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep every other supervisor out. Raises StackError when one runs already."""
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + _LOCK_SECONDS
            while not _lock(descriptor, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise StackError(
                        f"a stack already runs on {self.root}",
                        mend="see `coding-gateway status`, or start a second one "
                        "with another --data-dir and --port",
                    )
                time.sleep(0.05)
            yield
        finally:
            os.close(descriptor)

    def is_held(self) -> bool:
        """True while a supervisor lives on this directory."""
        try:
            descriptor = os.open(self.lock_file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return not _lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)


def _lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_atomically(path: Path, content: bytes, owner: RunAs | None = None) -> None:
    """Replace `path` by `content`, mode 0600; a reader sees the old or the new, never a part.

    The directory may belong to another user: nothing that lies there is followed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        if owner is not None:
            os.fchown(descriptor, owner.uid, owner.gid)
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
