"""The metrics of several processes, exchanged through files in one directory.

Each process replaces its own `<writer>.metrics` atomically and holds a lock on `<writer>.alive` for
as long as it lives. Counters of ended processes move into `base.metrics`. The base names the
writers it has taken in, and is replaced before their files are removed: whoever is killed in
between leaves a file that readers skip and the next one removes, so nothing is lost and nothing is
counted twice.
"""

import fcntl
import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path

from gateway import wire
from gateway.structs import Struct
from gateway.telemetry.metric_state import MetricState, state_from_json

_log = logging.getLogger("gateway.metrics")

_BASE = "base.metrics"
_FOLD_LOCK = "fold.lock"
_UNFINISHED = ".new"
_READ_ATTEMPTS = 5


class _Base(Struct, frozen=True):
    """The counters of ended processes, and whose they are. `version` changes with each write."""

    state: MetricState
    folded: frozenset[str]
    version: str


class MetricFiles:
    """One process's seat in the directory, taken at once and kept until `close()`."""

    def __init__(self, directory: Path, label: str) -> None:
        self._directory = directory
        self._writable = True
        self.writer = f"{label}-{os.getpid()}-{secrets.token_hex(4)}"
        self._alive: int | None = None
        # A seat always comes with a file: that is how it is found, and removed, when it is empty.
        self.publish(MetricState())

    def publish(self, state: MetricState) -> None:
        """Replace this process's file. A full or read-only disk is logged once, not raised."""
        try:
            if self._alive is None:
                self._take_seat()
            _replace(self._file_of(self.writer), wire.dumps(state.as_json()), durable=False)
        except OSError as error:
            self._note_writable(False, error.strerror or type(error).__name__)
        else:
            self._note_writable(True, "")

    def others(self) -> MetricState:
        """What all other processes have counted, living and ended; gauges of the living only."""
        self._fold_ended()
        for _ in range(_READ_ATTEMPTS):
            base = self._read_base()
            total = MetricState()
            total.merge(base.state)
            for writer in self._writers() - base.folded - {self.writer}:
                state = self._read(writer)
                total.merge(state if self._lives(writer) else state.without_gauges())
            # A fold meanwhile could have removed a file that this base does not contain.
            if self._read_base().version == base.version:
                break
        return total

    def close(self) -> None:
        """Leave: the counters stay in the directory, the gauges are gone."""
        if self._alive is not None:
            os.close(self._alive)
            self._alive = None

    # --- folding ---

    def _fold_ended(self) -> None:
        """Move the counters of ended processes into the base, unless another process is at it."""
        try:
            lock = os.open(self._directory / _FOLD_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._fold_locked()
        except OSError:
            return
        finally:
            os.close(lock)

    def _fold_locked(self) -> None:
        base = self._read_base()
        writers = self._writers()
        ended = {writer for writer in writers - {self.writer} if not self._lives(writer)}
        fresh = ended - base.folded
        if fresh:
            total = MetricState()
            total.merge(base.state)
            for writer in sorted(fresh):
                total.merge(self._read(writer).without_gauges())
            content = total.as_json()
            # Only names whose files are still there have to be remembered.
            content["folded"] = sorted(fresh | (base.folded & writers))
            content["version"] = secrets.token_hex(8)
            _replace(self._directory / _BASE, wire.dumps(content), durable=True)
        for writer in ended:
            for unfinished in self._directory.glob(f"{writer}.metrics.*{_UNFINISHED}"):
                unfinished.unlink(missing_ok=True)
            self._file_of(writer).unlink(missing_ok=True)
            self._alive_file_of(writer).unlink(missing_ok=True)
        for unfinished in self._directory.glob(f"{_BASE}.*{_UNFINISHED}"):
            unfinished.unlink(missing_ok=True)

    # --- files ---

    def _take_seat(self) -> None:
        """Lock this process's `.alive` file; the kernel frees it however the process ends."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._alive_file_of(self.writer), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            self._note_writable(False, error.strerror or type(error).__name__)
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._alive = descriptor

    def _lives(self, writer: str) -> bool:
        try:
            descriptor = os.open(self._alive_file_of(writer), os.O_RDWR)
        except OSError:
            return False
        try:
            # Shared, so that two that look at the same time do not take each other for the owner.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _writers(self) -> set[str]:
        return {path.stem for path in self._directory.glob("*.metrics")} - {Path(_BASE).stem}

    def _read(self, writer: str) -> MetricState:
        try:
            return state_from_json(wire.loads(self._file_of(writer).read_bytes()))
        except (OSError, wire.JSONDecodeError):
            return MetricState()

    def _read_base(self) -> _Base:
        try:
            data = wire.loads((self._directory / _BASE).read_bytes())
        except (OSError, wire.JSONDecodeError):
            data = None
        if not isinstance(data, dict):
            return _Base(MetricState(), frozenset(), "")
        return _Base(state_from_json(data), frozenset(data["folded"]), data["version"])

    def _file_of(self, writer: str) -> Path:
        return self._directory / f"{writer}.metrics"

    def _alive_file_of(self, writer: str) -> Path:
        return self._directory / f"{writer}.alive"

    def _note_writable(self, writable: bool, reason: str) -> None:
        if writable is self._writable:
            return
        self._writable = writable
        if writable:
            _log.info("metrics_published_again")
        else:
            _log.warning("metrics_not_published", extra={"reason": reason})


def _replace(path: Path, content: bytes, *, durable: bool) -> None:
    """Put `content` in the place of `path`, whole or not at all."""
    # The name ends differently from a metric file, so that a torn one is never read.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_UNFINISHED}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
