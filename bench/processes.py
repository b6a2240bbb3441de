"""The processes of a run: started on their cores, asked for their CPU time, and always ended."""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.errors import BenchError

LOOPBACK = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LINE_LIMIT_BYTES = 2**20
_KILL_SECONDS = 5.0
_SHOWN_LOG_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores carry what is measured, and which the rest; the same with a single core."""

    measured: frozenset[int]
    rest: frozenset[int]

    @property
    def are_apart(self) -> bool:
        """True when what is measured has a core to itself."""
        return not self.measured & self.rest


def choose_cores() -> Cores:
    """The first core this process may use for what is measured, all others for the rest."""
    cores = sorted(os.sched_getaffinity(0))
    return Cores(frozenset(cores[:1]), frozenset(cores[1:] or cores))


@dataclass(frozen=True, slots=True)
class Program:
    """How to start a process. What it writes to standard error goes to `log`."""

    name: str
    argv: Sequence[str]
    log: Path
    cores: frozenset[int]
    environment: Mapping[str, str]
    stop_seconds: float = 5.0


class Running:
    """A started process whose standard output is read line by line."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        self.program = program
        self._process = process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def read_line(self, seconds: float) -> bytes:
        """The next line of its output. Raises BenchError when none comes in time."""
        if self._process.stdout is None:
            raise BenchError(f"{self.program.name} has no output")
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise BenchError(f"{self.program.name} said nothing for {seconds:.0f} s") from None
        if not line:
            raise BenchError(f"{self.program.name} has ended: {self.log_tail()}")
        return line

    async def write_line(self, line: bytes) -> None:
        """Gives it a line of input."""
        if self._process.stdin is None:
            raise BenchError(f"{self.program.name} takes no input")
        self._process.stdin.write(line + b"\n")
        await self._process.stdin.drain()

    def require_alive(self) -> None:
        """Raises BenchError when it has ended."""
        if self._process.returncode is not None:
            raise BenchError(f"{self.program.name} has ended: {self.log_tail()}")

    def log_tail(self) -> str:
        """The end of its log."""
        if not self.program.log.exists():
            return "no log"
        return self.program.log.read_bytes()[-_SHOWN_LOG_BYTES:].decode(errors="replace").strip()

    async def stop(self) -> None:
        """Ends it, and all it has started when it does not end in time."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.program.stop_seconds):
                    await self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        async with asyncio.timeout(_KILL_SECONDS):
            await self._process.wait()


@contextlib.asynccontextmanager
async def running(program: Program) -> AsyncIterator[Running]:
    """The process, in a session of its own; it ends with this context or with this process."""
    with program.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *program.argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=_LINE_LIMIT_BYTES,
            env=dict(program.environment),
            cwd=program.log.parent,
            start_new_session=True,
            preexec_fn=_in_child(program.cores),
        )
    started = Running(program, process)
    try:
        yield started
    finally:
        await started.stop()


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment without any setting of the gateway, so that its defaults hold.

    Our packages are found by PYTHONPATH: programs run in a scratch directory, away from any `.env`.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {"LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)} | dict(extra or {})


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs one of our modules."""
    return (sys.executable, "-m", module, *arguments)


def pin(pid: int, cores: frozenset[int]) -> None:
    """Moves every thread of a process to `cores`; threads it starts later stay there too."""
    for thread in psutil.Process(pid).threads():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(thread.id, cores)


def cpu_seconds(pid: int) -> float:
    """CPU time, user and system, a process and its descendants have used so far.

    The kernel's own clock of a process counts nanoseconds; /proc/<pid>/stat only ticks of 10 ms.
    """
    tree = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return sum(_own_cpu_seconds(member) for member in tree)


def _own_cpu_seconds(pid: int) -> float:
    clock = (
        ~pid << 3
    ) | 2  # the clock id of a process: pid_t to CPUCLOCK_SCHED, linux/posix-timers
    try:
        return time.clock_gettime(clock)
    except OSError:
        times = psutil.Process(pid).cpu_times()
        return times.user + times.system


def resident_megabytes(pid: int) -> float:
    """Memory a process holds now."""
    return psutil.Process(pid).memory_info().rss / 2**20


def most_megabytes(pid: int) -> float | None:
    """The most memory a process has held at any time; None where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]  # in KiB, proc(5)
    return int(found[0]) / 2**10 if found else None


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_listener(pid: int, port: int, name: str) -> None:
    """Raises BenchError unless that very process listens on `port`: no orphan of another run."""
    try:
        sockets = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.NoSuchProcess:
        raise BenchError(f"{name} has ended") from None
    if not any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in sockets):
        raise BenchError(f"{name}, pid {pid}, does not listen on port {port}")


def _in_child(cores: frozenset[int]) -> Callable[[], None]:
    parent = os.getpid()
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def prepare() -> None:
        os.sched_setaffinity(0, cores)
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return prepare
