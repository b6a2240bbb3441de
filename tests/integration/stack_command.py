"""`coding-gateway up` as a user runs it: a process of its own, from a directory of its own."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from gateway import wire
from gateway.stack.environment import program_root

COMMAND = (sys.executable, "-P", "-m", "gateway.cli")
START_SECONDS = 90.0
_OURS = ("DATABASE_URL", "REDIS_URL", "TEMPORAL_ADDRESS", "DATA_DIR", "ANTHROPIC_", "API_PROCESSES")


def environment(**extra: str) -> dict[str, str]:
    """The environment of a user who has set nothing."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return bare | {"PYTHONPATH": str(program_root())} | extra


def run(*arguments: str, cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def until(fact: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Wait for a fact of other processes."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    """True when no such process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def listed(pids: Mapping[str, Any]) -> list[int]:
    """Every process id of the ready line but the supervisor's."""
    numbers: list[int] = []
    for name, value in pids.items():
        if name != "supervisor" and value is not None:
            numbers += value if isinstance(value, list) else [value]
    return numbers


class Up:
    """A running `coding-gateway up --json`. Leaving the block ends it and all its children."""

    def __init__(
        self,
        data_dir: Path,
        cwd: Path,
        *arguments: str,
        prefix: Sequence[str] = (),
        **extra: str,
    ) -> None:
        self.data_dir = data_dir
        self._stderr = cwd / f"up-{time.monotonic_ns()}.err"
        with self._stderr.open("wb") as errors:
            self.process = subprocess.Popen(
                [
                    *(*prefix, *COMMAND, "up", "--json", "--port", "0"),
                    *("--data-dir", str(data_dir), *arguments),
                ],
                cwd=cwd,
                env=environment(**extra),
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        self.ready: dict[str, Any] = {}

    @property
    def progress(self) -> str:
        """What it wrote to standard error so far."""
        return self._stderr.read_text(encoding="utf-8")

    @property
    def base_url(self) -> str:
        return str(self.ready["base_url"])

    def wait_ready(self) -> "Up":
        """Until the ready line is there."""
        assert self.process.stdout is not None
        answered, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        assert answered, f"not ready in time:\n{self.progress}"
        line = self.process.stdout.readline()
        assert line, f"ended before it was ready:\n{self.progress}"
        self.ready = wire.loads(line)
        return self

    def stop(self, signal_number: signal.Signals = signal.SIGINT) -> tuple[int, bytes]:
        """Exit code, and what followed the ready line on standard output."""
        self.process.send_signal(signal_number)
        rest, _ = self.process.communicate(timeout=60)
        return self.process.returncode, rest

    def __enter__(self) -> "Up":
        return self

    def __exit__(self, *_: object) -> None:
        children: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children(recursive=True)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()
