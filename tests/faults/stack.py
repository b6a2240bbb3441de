"""The whole product with a bad network between its parts, and ways to hurt each of them."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psutil

from gateway.stack.environment import program_root
from tests.contract.harness.gateway import UPSTREAM_KEY, Gateway, gateway_of
from tests.contract.harness.processes import dies_with_us, end, free_port, until
from tests.faults.proxy import Proxy
from tests.integration.stack_command import COMMAND, Up

SERVERS = ("valkey", "postgres", "temporal")
API_PROCESSES = 2
_SETTINGS = {
    "RATE_LIMIT_RPM": "1000000",
    "CIRCUIT_BREAKER_TIMEOUT": "2",
    "UPSTREAM_TIMEOUT_SECONDS": "5",
    "LOG_LEVEL": "info",
}


class SimulatorProcess:
    """A simulator on a port of its own, that can be killed and started again there."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        options = ("--port", str(self.port), "--delta-delay", "0")
        process = subprocess.Popen(
            [*dies_with_us(), sys.executable, "-m", "simulator", *options],
            cwd=program_root(),
            stdout=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{self.port}/_sim/state"
        until(lambda: _answers(url), "the simulator answers")
        return process

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        self.process = self._start()


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx2.TransportError):
        return httpx2.get(url, timeout=2).status_code == 200
    return False


@dataclass
class Stack:
    """What faults are done to. `gateway` is what clients talk to, over `proxies["api"]`.

    Servers and the worker are those of `coding-gateway up`; the API processes are
    `coding-gateway api`, which reaches everything over proxies. Both start again what dies.
    """

    gateway: Gateway
    servers: Gateway
    simulator: SimulatorProcess
    proxies: dict[str, Proxy]
    api: "subprocess.Popen[bytes]" = field(repr=False)
    journal_has_own_disk: bool = False

    def pids(self, part: str) -> list[int]:
        """The processes of a part that run now."""
        if part == "simulator":
            return [self.simulator.process.pid]
        if part == "api":
            return _children(self.api.pid, "api.server")
        supervisor = self.servers.pids["supervisor"]
        words = {
            "valkey": "valkey-server",
            "postgres": "postgres",
            "temporal": "temporal",
            "worker": "worker.py",
        }
        return _children(supervisor, words[part])

    def kill(self, part: str) -> None:
        """kill -9 of one process; its supervisor starts it again, the simulator we do."""
        if part == "simulator":
            self.simulator.kill()
            time.sleep(1.0)
            self.simulator.start_again()
            return
        os.kill(self.pids(part)[0], signal.SIGKILL)

    def restart(self, part: str) -> None:
        """An orderly end; API processes are replaced one after the other."""
        if part == "api":
            os.kill(self.api.pid, signal.SIGUSR1)
        elif part == "simulator":
            end(self.simulator.process)
            self.simulator.start_again()
        else:
            # PostgreSQL's SIGTERM waits for its clients, who stay.
            how = signal.SIGINT if part == "postgres" else signal.SIGTERM
            os.kill(self.pids(part)[0], how)

    @contextlib.contextmanager
    def frozen(self, part: str) -> Iterator[None]:
        """SIGSTOP for the length of the block: one process, and what it has started."""
        parent = psutil.Process(self.pids(part)[0])
        processes = [parent, *parent.children(recursive=True)]
        try:
            for process in processes:
                process.suspend()
            yield
        finally:
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def is_well(self) -> bool:
        """True when every part answers and every process is there."""
        with contextlib.suppress(httpx2.TransportError), self.gateway.http() as http:
            health = http.get("/health")
            return (
                health.status_code == 200
                and health.json()["status"] == "ok"
                and len(self.pids("api")) == API_PROCESSES
                and len(self.pids("worker")) == 1
            )
        return False

    def serves(self) -> bool:
        """True when a chat is answered: a circuit breaker may need its time."""
        body = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "hi"}]}
        with contextlib.suppress(httpx2.TransportError), self.gateway.http() as http:
            return http.post("/v1/chat/completions", json=body).status_code == 200
        return False

    def log_bytes(self) -> int:
        """What the API processes have written so far."""
        return (self.gateway.home / "api.log").stat().st_size

    def resident_mb(self) -> float:
        """Memory of the API processes."""
        total = 0.0
        for pid in self.pids("api"):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += psutil.Process(pid).memory_info().rss / 2**20
        return total


def _children(parent: int, word: str) -> list[int]:
    found = []
    for child in psutil.Process(parent).children():
        with contextlib.suppress(psutil.Error):
            if any(word in argument for argument in child.cmdline()[:6]):
                found.append(child.pid)
    return found


@contextlib.contextmanager
def running_stack(home: Path) -> Iterator[Stack]:
    """The stack, ready; everything is ended on leaving."""
    with contextlib.ExitStack() as exits:
        simulator = SimulatorProcess()
        exits.callback(lambda: end(simulator.process))
        proxies = {"simulator": exits.enter_context(Proxy(simulator.port))}
        upstream = f"http://127.0.0.1:{proxies['simulator'].port}"
        up = exits.enter_context(
            Up(
                home / "data",
                home,
                *("--api-processes", "1"),
                prefix=dies_with_us(),
                ANTHROPIC_BASE_URL=upstream,
                ANTHROPIC_API_KEY=UPSTREAM_KEY,
                **_SETTINGS,
            )
        )
        servers = gateway_of(up.wait_ready())
        environment = dict(servers.environment)
        for part, name in (
            ("valkey", "REDIS_URL"),
            ("postgres", "DATABASE_URL"),
            ("temporal", "TEMPORAL_ADDRESS"),
        ):
            proxies[part], environment[name] = _behind(environment[name], exits)
        yield _with_api(home, servers, simulator, proxies, environment, exits)


def _behind(url: str, exits: contextlib.ExitStack) -> tuple[Proxy, str]:
    """A proxy before the server of a URL, and the URL that leads through it."""
    port = urlsplit(url if "://" in url else f"//{url}").port
    assert port is not None
    proxy = exits.enter_context(Proxy(port))
    return proxy, url.replace(f":{port}", f":{proxy.port}")


def _with_api(
    home: Path,
    servers: Gateway,
    simulator: SimulatorProcess,
    proxies: dict[str, Proxy],
    environment: dict[str, str],
    exits: contextlib.ExitStack,
) -> Stack:
    own, port = home / "api", free_port()
    (own / "journal").mkdir(parents=True)
    has_own_disk = _mounted(own / "journal", exits)
    settings = {"DATA_DIR": str(own), **_SETTINGS}
    with (own / "api.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(*dies_with_us(), *COMMAND, "api", "--host", "127.0.0.1"),
                *("--port", str(port), "--processes", str(API_PROCESSES)),
            ],
            cwd=own,
            env={**environment, **settings},
            stdout=log,
            stderr=log,
        )
    exits.callback(lambda: end(process, 60))
    proxies["api"] = exits.enter_context(Proxy(port))
    gateway = replace(
        servers,
        base_url=f"http://127.0.0.1:{proxies['api'].port}/v1",
        home=own,
        environment={**environment, **settings},
    )
    stack = Stack(gateway, servers, simulator, proxies, process, has_own_disk)
    until(stack.is_well, "the stack is well", 60)
    return stack


def _mounted(directory: Path, exits: contextlib.ExitStack) -> bool:
    """A small file system on a directory; False where this user may not mount one."""
    command = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", str(directory)]
    try:
        done = subprocess.run(command, check=False, capture_output=True)
    except OSError:
        return False
    if done.returncode != 0:
        return False
    exits.callback(
        lambda: subprocess.run(["umount", "-l", str(directory)], check=False, capture_output=True)
    )
    return True


Hurt = Callable[[Stack, str], None]
"""Does something bad to a part of the stack; returns when the bad time is over."""
