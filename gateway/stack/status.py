"""What runs on a data directory, and how it feels."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from gateway.stack import probes, run_state
from gateway.stack.data_directory import DataDirectory
from gateway.stack.run_state import RunningPart, RunState


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One line of `status`. `problem` is None for a part that is well."""

    name: str
    pid: int | None
    address: str
    restarts: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class StackStatus:
    """The whole answer; `supervisor` is None when nothing runs."""

    data_dir: str
    supervisor: int | None
    base_url: str
    temporal_ui: str | None
    simulated: bool
    parts: tuple[PartStatus, ...]

    @property
    def is_healthy(self) -> bool:
        """True when a supervisor runs and every part is well."""
        return self.supervisor is not None and all(part.problem is None for part in self.parts)


async def read_status(data: DataDirectory) -> StackStatus:
    """Look at the record and ask every part."""
    state = run_state.read(data.state_file)
    if state is None:
        return StackStatus(str(data.root), None, "", None, simulated=False, parts=())
    parts = await asyncio.gather(
        *(_ask(part, data) for part in state.parts),
        *(_ask_external(name, address) for name, address in state.external.items()),
    )
    alive = state.supervisor.is_alive() and data.is_held()
    return StackStatus(
        data_dir=str(data.root),
        supervisor=state.supervisor.pid if alive else None,
        base_url=state.base_url,
        temporal_ui=state.temporal_ui,
        simulated=state.simulated,
        parts=tuple(parts),
    )


async def _ask(part: RunningPart, data: DataDirectory) -> PartStatus:
    problem: str | None = "not running"
    if part.identity.is_alive():
        problem = "starting" if not part.ready else await _probe(part, data)
    return PartStatus(part.name, part.identity.pid, part.address, part.restarts, problem)


async def _ask_external(name: str, address: str) -> PartStatus:
    problem = await probes.listens(*probes.address_of(address))
    return PartStatus(name, None, f"{address} (external)", 0, problem)


async def _probe(part: RunningPart, data: DataDirectory) -> str | None:
    if part.group == "worker":
        ready_file = data.run / f"{part.name}.ready"
        return None if ready_file.exists() else "not polling"
    host, port = probes.address_of(part.address.partition(",")[0])
    asked: dict[str, Callable[[], Coroutine[Any, Any, str | None]]] = {
        "postgres": lambda: probes.postgres(host, port),
        "valkey": lambda: probes.valkey(host, port, _valkey_password(data)),
        "api": lambda: probes.answers(host, port, "/health/ready"),
    }
    ask = asked.get(part.group)
    return await (ask() if ask else probes.listens(host, port))


def _valkey_password(data: DataDirectory) -> str:
    try:
        return (data.keys / "valkey").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def leftovers(state: RunState | None) -> list[RunningPart]:
    """Processes of a supervisor that is gone."""
    if state is None or state.supervisor.is_alive():
        return []
    return [part for part in state.parts if part.identity.is_alive()]
