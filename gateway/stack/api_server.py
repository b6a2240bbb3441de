"""`coding-gateway api --processes N`: several API processes on one socket, nothing else."""

import contextlib
from collections.abc import Callable

from gateway.stack import environment, programs
from gateway.stack.ports import bind_api
from gateway.stack.supervisor import Supervisor, together
from gateway.stack.until_stopped import until_stopped


async def serve(host: str, port: int, processes: int, report: Callable[[str], None]) -> None:
    """Serve until a signal asks for the end; restarts what dies. Raises StackError."""
    env = environment.for_programs({"API_PROCESSES": str(processes)})
    with contextlib.closing(bind_api(host, port)) as listener:
        supervisor = Supervisor(report, lambda _: None)
        parts = [programs.api_part(number + 1, listener, env, None) for number in range(processes)]

        async def work() -> None:
            await together(*(supervisor.start(part) for part in parts))
            await supervisor.watch()

        await until_stopped(supervisor, work(), report)
