"""Runs a supervisor's work until a signal asks for the end."""

import asyncio
import signal
from collections.abc import Callable, Coroutine

from gateway.stack.supervisor import Supervisor

RESTART_SIGNAL = signal.SIGUSR1
"""Asks a supervisor to restart its API processes."""


async def until_stopped(
    supervisor: Supervisor, work: Coroutine[None, None, None], report: Callable[[str], None]
) -> None:
    """Run `work` until it fails or SIGINT, SIGTERM or SIGHUP comes, then stop every part.

    The first signal stops in order with grace, a second one without. SIGUSR1 restarts the API
    processes one after the other. Raises what `work` raises.
    """
    asked = asyncio.Event()

    def on_signal() -> None:
        if asked.is_set():
            supervisor.hurry()
        asked.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, on_signal)
    loop.add_signal_handler(signal.SIGTERM, on_signal)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored under nohup
        loop.add_signal_handler(signal.SIGHUP, on_signal)
    loop.add_signal_handler(RESTART_SIGNAL, supervisor.restart, "api")
    tasks = asyncio.create_task(work), asyncio.create_task(asked.wait())
    working, _ = tasks
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        report("stopping; once more to stop at once")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await supervisor.stop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, RESTART_SIGNAL):
            loop.remove_signal_handler(number)
