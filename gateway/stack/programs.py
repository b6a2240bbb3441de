"""Our own processes: API, worker, simulator and the migrations."""

import importlib.util
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.stack import environment, probes
from gateway.stack.data_directory import DataDirectory
from gateway.stack.errors import StackError
from gateway.stack.part import Part
from gateway.stack.ports import LOOPBACK, Ports
from gateway.stack.process import Command

DRAIN_SECONDS = 8.0
"""What a process needs to end before the grace of its open work, and after it."""

_PYTHON = (sys.executable, "-P")


def api_arguments() -> tuple[str, ...]:
    """The command that serves the API, without where it listens.

    -OO: a process without docstrings, its own and those of libraries, takes 6 MB less.
    """
    return (*_PYTHON, "-OO", "-m", "api.server")


def worker_arguments(rest: Sequence[str]) -> tuple[str, ...]:
    """The command that runs the Temporal worker. Raises StackError."""
    spec = importlib.util.find_spec("worker")
    program = environment.program_root() / "worker.py"
    if spec is not None and spec.origin and not program.exists():
        program = Path(spec.origin)
    if not program.exists():
        raise StackError("worker.py is not installed", mend="reinstall coding-gateway")
    return (*_PYTHON, str(program), *rest)


def api_part(
    number: int,
    listener: socket.socket,
    env: Mapping[str, str],
    run_directory: Path,
    *,
    log_directory: Path | None = None,
    grace_seconds: float = 30.0,
) -> Part:
    """One API process on the socket all of them share.

    It writes its ready file in `run_directory` when it serves: the others answer at the same
    address. No `log_directory`: it logs where we do.
    """
    host, port = listener.getsockname()[:2]
    reached = LOOPBACK if host in {"0.0.0.0", "::"} else host  # noqa: S104 - a comparison
    descriptor = listener.fileno()
    ready_file = run_directory / f"api-{number}.ready"
    command = Command(
        argv=(*api_arguments(), "--fd", str(descriptor), "--ready-file", str(ready_file)),
        environment=env,
        log=log_directory / f"api-{number}.log" if log_directory else None,
        pass_fds=(descriptor,),
    )

    def start() -> Command:
        ready_file.unlink(missing_ok=True)
        return command

    async def ready(path: str) -> str | None:
        if not ready_file.exists():
            return "not serving yet"
        return await probes.answers(reached, port, path)

    return Part(
        name=f"api-{number}",
        group="api",
        command=start,
        ready=lambda: ready("/health/ready"),
        address=lambda: f"{host}:{port}",
        stop_seconds=grace_seconds + DRAIN_SECONDS,
        # Readiness may fail for a database that is away; that is no reason to kill an API.
        ready_again=lambda: ready("/health/live"),
    )


def worker_part(
    number: int, env: Mapping[str, str], data: DataDirectory, *, grace_seconds: float
) -> Part:
    """One Temporal worker; it writes its ready file when it polls."""
    ready_file = data.run / f"worker-{number}.ready"
    command = Command(
        argv=worker_arguments(("--ready-file", str(ready_file))),
        environment=env,
        log=data.logs / f"worker-{number}.log",
    )

    def start() -> Command:
        ready_file.unlink(missing_ok=True)
        return command

    async def ready() -> str | None:
        return None if ready_file.exists() else "not polling yet"

    return Part(
        name=f"worker-{number}",
        group="worker",
        command=start,
        ready=ready,
        address=lambda: "",
        stop_seconds=grace_seconds + DRAIN_SECONDS,
    )


def simulator_part(ports: Ports, port: list[int], data: DataDirectory) -> Part:
    """The stand-in for Anthropic's API. `port` has one element, changed when a race was lost."""

    def start() -> Command:
        return Command(
            argv=(*_PYTHON, "-m", "simulator", "--host", LOOPBACK, "--port", str(port[0])),
            environment=environment.for_programs({}),
            log=data.logs / "simulator.log",
        )

    def another_port() -> bool:
        if ports.was_asked("simulator"):
            return False
        port[0] = ports.choose_another("simulator")
        return True

    return Part(
        name="simulator",
        group="simulator",
        command=start,
        ready=lambda: probes.listens(LOOPBACK, port[0]),
        address=lambda: f"{LOOPBACK}:{port[0]}",
        stop_seconds=5.0,
        another_port=another_port,
    )


def migrate_command(env: Mapping[str, str], data: DataDirectory) -> Command:
    """`coding-gateway migrate`, as a process of its own: the supervisor never loads SQLAlchemy."""
    return Command(
        argv=(*_PYTHON, "-m", "gateway.cli", "migrate"),
        environment=env,
        log=data.logs / "migrate.log",
    )
