"""A running `python worker.py`, as it runs on any machine."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def running_worker(home: Path, **settings: str) -> AsyncIterator[Path]:
    """The file of its log, once it polls; it is told to end at the end."""
    ready, log = home / "ready", home / "worker.log"
    environment = {**os.environ, "DATA_DIR": str(home / "data"), **settings}
    with log.open("wb") as output:
        worker = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, "worker.py", "--ready-file", str(ready)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        await until(lambda: is_there(ready))
        yield log
    finally:
        worker.send_signal(signal.SIGTERM)
        await asyncio.to_thread(worker.wait, 30)


async def is_there(path: Path) -> bool:
    """True once the file has been made."""
    return await asyncio.to_thread(path.exists)


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 50.0) -> None:
    """Wait for a fact of other processes."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
