"""The record of what runs, for `status` and for the `up` that comes after a kill -9."""

import asyncio
import signal
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from gateway import wire
from gateway.stack.data_directory import write_atomically
from gateway.stack.part import GROUPS_IN_STOP_ORDER
from gateway.stack.process import Identity, identity_of

_CLEAR_SECONDS = 15.0  # PostgreSQL's checkpoint; the others end within two seconds
_STOP_SIGNALS = {"postgres": signal.SIGINT}  # fast shutdown; SIGTERM would wait for clients


@dataclass(frozen=True, slots=True)
class RunningPart:
    """A process as it was recorded."""

    name: str
    group: str
    identity: Identity
    address: str
    restarts: int = 0
    ready: bool = False


@dataclass(frozen=True, slots=True)
class RunState:
    """What one supervisor recorded. `external` names the parts that came as a URL."""

    supervisor: Identity
    base_url: str = ""
    temporal_ui: str | None = None
    simulated: bool = False
    external: dict[str, str] = field(default_factory=dict)
    parts: tuple[RunningPart, ...] = ()

    def pids(self, group: str) -> list[int]:
        """The process ids of a group, in the order of their names."""
        return [part.identity.pid for part in self.parts if part.group == group]


def write(path: Path, state: RunState) -> None:
    """Replace the record."""
    write_atomically(path, wire.dumps(asdict(state)))


def forget(path: Path) -> None:
    """Remove the record: nothing runs."""
    path.unlink(missing_ok=True)


def read(path: Path) -> RunState | None:
    """The record; None when there is none that can be read."""
    try:
        content = wire.loads(path.read_bytes())
        return _decode(content)
    except (OSError, wire.JSONDecodeError, KeyError, TypeError):
        return None


def _decode(content: dict[str, Any]) -> RunState:
    parts = tuple(
        RunningPart(**{**part, "identity": Identity(**part["identity"])})
        for part in content["parts"]
    )
    return RunState(**{**content, "supervisor": Identity(**content["supervisor"]), "parts": parts})


async def clear_leftovers(
    state_file: Path, postmaster_pid: Path, report: Callable[[str], None]
) -> None:
    """End what a supervisor that was killed left behind. Call it with the directory locked.

    On Linux the children get their death signal anyway; this waits for them, and on systems
    without one it sends it. PostgreSQL is found by its own pid file too.
    """
    state = read(state_file)
    left = {part.identity: part.group for part in (state.parts if state else ())}
    cluster = postmaster(postmaster_pid)
    if cluster is not None:
        left.setdefault(cluster, "postgres")
    alive = {identity: group for identity, group in left.items() if identity.is_alive()}
    if alive:
        report(f"clearing {len(alive)} process(es) a killed supervisor left behind")
        for group in GROUPS_IN_STOP_ORDER:
            await _end([identity for identity, of in alive.items() if of == group], group)
    forget(state_file)


async def _end(processes: list[Identity], group: str) -> None:
    for process in processes:
        process.send(_STOP_SIGNALS.get(group, signal.SIGTERM))
    grace = _CLEAR_SECONDS if group in {"postgres", "temporal", "valkey"} else 3.0
    if not await _gone(processes, grace):
        for process in processes:
            process.send(signal.SIGKILL, group=True)
        await _gone(processes, 5.0)


async def _gone(processes: Iterable[Identity], seconds: float) -> bool:
    deadline = asyncio.get_running_loop().time() + seconds
    while any(process.is_alive() for process in processes):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


def postmaster(pid_file: Path) -> Identity | None:
    """The PostgreSQL server that runs on the cluster of `pid_file`; None when none does.

    The file outlives a crash, and after a reboot its number may be any other program's: a number
    counts only when that process was started for this very cluster.
    """
    try:
        pid = int(pid_file.read_text(encoding="utf-8").splitlines()[0])
        command = psutil.Process(pid).cmdline()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return identity_of(pid) if str(pid_file.parent) in command else None
