"""Processes of the contract tests: started with the tests and never left behind."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def free_port() -> int:
    """A port of the loopback address nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(fact: Callable[[], T], what: str, seconds: float = 20.0) -> T:
    """The first true answer of `fact`, asked again and again."""
    deadline = time.monotonic() + seconds
    while not (answer := fact()):
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.05)
    return answer


def steady(read: Callable[[], float], pause_seconds: float = 2.5, seconds: float = 30.0) -> float:
    """What `read` gives once it gives the same again after a pause."""
    deadline = time.monotonic() + seconds
    value = read()
    while True:
        time.sleep(pause_seconds)
        again = read()
        if again == value:
            return value
        assert time.monotonic() < deadline, "it never comes to rest"
        value = again


def dies_with_us() -> tuple[str, ...]:
    """What to put before a command so that it ends when the tests are killed."""
    setpriv = shutil.which("setpriv")  # of util-linux; elsewhere only fixtures end processes
    return (setpriv, "--pdeathsig", "TERM", "--") if setpriv else ()


def end(process: "subprocess.Popen[bytes]", seconds: float = 15.0) -> None:
    """Asks a process to stop, and insists."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    if process.poll() is None:
        process.kill()
    process.wait()


@contextlib.contextmanager
def passable_directory(prefix: str) -> Iterator[Path]:
    """A directory of our own that a PostgreSQL of another user may pass through."""
    home = Path(tempfile.mkdtemp(prefix=prefix))
    home.chmod(0o711)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
