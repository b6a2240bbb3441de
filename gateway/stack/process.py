"""Child processes that die with the supervisor, and processes known only by a record."""

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from gateway.stack.run_as import RunAs

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_SAME_PROCESS_SECONDS = 1.5  # create times are derived from the boot time, which clocks adjust


@dataclass(frozen=True, slots=True)
class Command:
    """How to start one process.

    `log` takes both its outputs; None leaves them where ours go. `death_signal` is sent to it when
    the supervisor dies (Linux).
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    log: Path | None
    working_directory: Path | None = None
    run_as: RunAs | None = None
    pass_fds: tuple[int, ...] = ()
    death_signal: signal.Signals = signal.SIGTERM
    input: bytes = b""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process beyond the reuse of its id. `created` is seconds since the epoch."""

    pid: int
    created: float

    def is_alive(self) -> bool:
        """True while this very process runs; a zombie is dead."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < _SAME_PROCESS_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def send(self, signal_number: signal.Signals, *, group: bool = False) -> None:
        """Signal the process, or everything it started, when it still is that process."""
        if not self.is_alive():
            return
        try:
            if group and os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal_number)
            else:
                os.kill(self.pid, signal_number)
        except ProcessLookupError:
            return


def identity_of(pid: int) -> Identity:
    """The identity of a running process; one that is never alive when it is gone already."""
    try:
        return Identity(pid, psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return Identity(pid, 0.0)


class Child:
    """A direct child in a session of its own, so that Ctrl-C reaches the supervisor only."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._process = _popen(command)
        self.identity = identity_of(self._process.pid)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.poll()

    def send(self, signal_number: signal.Signals) -> None:
        """Signal the process unless it has ended."""
        self._process.send_signal(signal_number)

    def kill_all(self) -> None:
        """End the process and whatever it started, at once."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _popen(command: Command) -> subprocess.Popen[bytes]:
    user = command.run_as
    with contextlib.ExitStack() as files:
        log = files.enter_context(command.log.open("ab")) if command.log else None
        process = subprocess.Popen(  # noqa: S603 - commands are built from located programs
            command.argv,
            env=dict(command.environment),
            cwd=command.working_directory,
            stdin=subprocess.PIPE if command.input else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=command.pass_fds,
            start_new_session=True,
            umask=0o077,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
            # Runs after the change of user, which would clear the death signal. The supervisor
            # has one thread, so the child of fork holds no lock of another.
            preexec_fn=_die_with_parent(command.death_signal),  # noqa: PLW1509
        )
    if process.stdin is not None:
        process.stdin.write(command.input)
        process.stdin.close()
    return process


def _die_with_parent(signal_number: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    parent = os.getpid()
    libc = _libc()

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return in_child


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
