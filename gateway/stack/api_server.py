"""`coding-gateway api --processes N`: several API processes on one socket, nothing else."""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from gateway.stack import environment, programs
from gateway.stack.ports import bind_api
from gateway.stack.supervisor import Supervisor, together
from gateway.stack.until_stopped import until_stopped


async def serve(
    listens: tuple[str, int], processes: int, grace_seconds: float, report: Callable[[str], None]
) -> None:
    """Serve at (host, port) until a signal asks for the end; restarts what dies.

    Raises StackError.
    """
    env = environment.for_programs({"API_PROCESSES": str(processes)})
    with (
        contextlib.closing(bind_api(*listens)) as listener,
        tempfile.TemporaryDirectory(prefix="coding-gateway-") as run_directory,
    ):
        supervisor = Supervisor(report, lambda _: None)
        parts = [
            programs.api_part(
                number + 1, listener, env, Path(run_directory), grace_seconds=grace_seconds
            )
            for number in range(processes)
        ]

        async def work() -> None:
            await together(*(supervisor.start(part) for part in parts))
            await supervisor.watch()

        await until_stopped(supervisor, work(), report)
