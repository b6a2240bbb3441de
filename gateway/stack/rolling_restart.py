"""`coding-gateway restart`: asks the supervisor of a running stack, and waits until it is done."""

import asyncio
from collections.abc import Callable

from gateway.stack import run_state
from gateway.stack.data_directory import DataDirectory
from gateway.stack.errors import StackError
from gateway.stack.until_stopped import RESTART_SIGNAL

_LONGEST_SECONDS = 600.0
_LOOK_SECONDS = 0.1


async def restart_api(data: DataDirectory, report: Callable[[str], None]) -> None:
    """Have every API process replaced by one of the code on disk. Raises StackError."""
    state = run_state.read(data.state_file)
    if state is None or not (state.supervisor.is_alive() and data.is_held()):
        raise StackError(f"nothing runs on {data.root}", mend="start it with `coding-gateway up`")
    before = set(state.pids("api"))
    state.supervisor.send(RESTART_SIGNAL)
    deadline = asyncio.get_running_loop().time() + _LONGEST_SECONDS
    while True:
        state = run_state.read(data.state_file)
        if state is None or not state.supervisor.is_alive():
            raise StackError("the stack has stopped meanwhile")
        parts = [part for part in state.parts if part.group == "api"]
        if all(part.ready and part.identity.pid not in before for part in parts):
            break
        if asyncio.get_running_loop().time() > deadline:
            raise StackError(
                "the API processes were not replaced in time", mend="see `coding-gateway status`"
            )
        await asyncio.sleep(_LOOK_SECONDS)
    report(f"{len(parts)} API processes were replaced; open answers of the old ones go on")
