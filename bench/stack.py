"""What a run is made of: simulator, floor, Valkey, the whole gateway, and the load generator."""

import asyncio
import contextlib
import urllib.request
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bench.errors import BenchError
from bench.processes import (
    LOOPBACK,
    Cores,
    Program,
    Running,
    clean_environment,
    free_port,
    pin,
    python,
    require_listener,
    running,
)
from gateway.stack.binaries import find_valkey

_START_SECONDS = 30.0
UP_SECONDS = 240.0
"""How long a gateway may take to start: the first time it makes a database, copies programs."""

_UP_STOP_SECONDS = 60.0  # it stops its own parts one after the other
_HTTP_SECONDS = 10.0
_CHAT = "/v1/chat/completions"
_MESSAGES = "/v1/messages"


@dataclass(frozen=True, slots=True)
class Target:
    """Something a load can be sent to; `pid` is the process whose cost is counted."""

    name: str
    pid: int
    port: int
    path: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    def require_ready(self) -> None:
        """Raises BenchError unless this very process listens on the port."""
        require_listener(self.pid, self.port, self.name)


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway with all its default features, and where its counts can be read."""

    target: Target
    admin_key: str = field(repr=False)
    data_dir: Path
    valkey: "ValkeyCounts"

    async def recorded_requests(self) -> int:
        """Requests the gateway reports as used so far."""
        usage = await asyncio.to_thread(self._get, "/admin/usage")
        return int(usage["totals"]["requests"])

    def journal_lines(self) -> dict[str, int]:
        """Lines of each file of the usage journal."""
        files = (self.data_dir / "journal").rglob("*")
        return {str(path): path.read_bytes().count(b"\n") for path in files if path.is_file()}

    def _get(self, path: str) -> Any:
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.target.port}{path}", headers={"x-api-key": self.admin_key}
        )
        with urllib.request.urlopen(request, timeout=_HTTP_SECONDS) as answer:
            return orjson.loads(answer.read())


@dataclass(frozen=True, slots=True)
class ValkeyCounts:
    """Counters of a Valkey server."""

    port: int

    async def reads(self) -> int:
        """How often the server has read from a client; one a round trip when requests are single.

        The question itself is one read more.
        """
        async with asyncio.timeout(_HTTP_SECONDS):
            reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
            writer.write(b"INFO stats\r\n")
            length = int((await reader.readline())[1:])
            text = (await reader.readexactly(length)).decode()
            writer.close()
            await writer.wait_closed()
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        return int(fields["total_reads_processed"])


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that runs. `direct` is the simulator itself; `idiomatic` may be absent."""

    load: Running
    direct: Target
    floor: Target
    gateway: Gateway
    idiomatic: Target | None


@contextlib.asynccontextmanager
async def running_bench(
    scratch: Path, cores: Cores, *, with_idiomatic: bool
) -> AsyncIterator[Bench]:
    """Starts it all on its cores, with logs and data in `scratch`; ends it all on leaving."""
    async with contextlib.AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            running(_ours("simulator", scratch, cores.rest, "--instant"))
        )
        told = orjson.loads(await simulator.read_line(_START_SECONDS))
        direct = Target("simulator", simulator.pid, told["port"], _MESSAGES)
        upstream = ("--upstream-port", str(direct.port))
        floor = await _proxy(stack, "forwarding_proxy", scratch, cores, upstream)
        idiomatic = None
        if with_idiomatic:
            idiomatic = await _proxy(stack, "idiomatic", scratch, cores, upstream)
        gateway = await stack.enter_async_context(_gateway(scratch, cores, direct.port))
        load = await stack.enter_async_context(running(_ours("bench.load", scratch, cores.rest)))
        yield Bench(load, direct, floor, gateway, idiomatic)


async def _proxy(
    stack: contextlib.AsyncExitStack,
    module: str,
    scratch: Path,
    cores: Cores,
    upstream: tuple[str, str],
) -> Target:
    program = _ours(f"bench.{module}", scratch, cores.measured, *upstream)
    started = await stack.enter_async_context(running(program))
    port = int(await started.read_line(_START_SECONDS))
    path = _MESSAGES if module == "forwarding_proxy" else _CHAT
    return Target(module.replace("_", " "), started.pid, port, path)


def _ours(module: str, scratch: Path, cores: frozenset[int], *arguments: str) -> Program:
    return Program(
        name=module,
        argv=python(module, *arguments),
        log=scratch / f"{module}.log",
        cores=cores,
        environment=clean_environment(),
    )


@contextlib.asynccontextmanager
async def _gateway(scratch: Path, cores: Cores, upstream_port: int) -> AsyncIterator[Gateway]:
    """`coding-gateway up` with one API process, moved to the measured core."""
    async with (
        _valkey(scratch, cores.rest) as valkey,
        running(
            up_program(scratch, cores.rest, _measured_settings(upstream_port, valkey.port))
        ) as up,
    ):
        told = orjson.loads(await up.read_line(UP_SECONDS))
        pid = told["pids"]["api"][0]
        pin(pid, cores.measured)
        port = int(told["base_url"].removesuffix("/v1").rpartition(":")[2])
        key = {"authorization": f"Bearer {told['api_key']}"}
        target = Target("gateway", pid, port, _CHAT, key)
        yield Gateway(target, told["admin_key"], Path(told["data_dir"]), valkey)


def up_program(scratch: Path, cores: frozenset[int], settings: Mapping[str, str]) -> Program:
    """`coding-gateway up` with one API process and these settings; its data is in `scratch`."""
    arguments = ("--json", "--data-dir", str(scratch / "data"), "--port", "0")
    return Program(
        name="coding-gateway up",
        argv=python("gateway.cli", "up", *arguments, "--api-processes", "1"),
        log=scratch / "up.log",
        cores=cores,
        environment=clean_environment(settings),
        stop_seconds=_UP_STOP_SECONDS,
    )


def _measured_settings(upstream_port: int, valkey_port: int) -> dict[str, str]:
    return {
        "ANTHROPIC_API_KEY": "bench",
        "ANTHROPIC_BASE_URL": f"http://{LOOPBACK}:{upstream_port}",
        "REDIS_URL": f"redis://{LOOPBACK}:{valkey_port}/0",
        "RATE_LIMIT_RPM": "100000000",
    }


@contextlib.asynccontextmanager
async def _valkey(scratch: Path, cores: frozenset[int]) -> AsyncIterator[ValkeyCounts]:
    """A Valkey of the bench's own, so that its counters can be read; nothing is kept."""
    port = free_port()
    program = Program(
        name="valkey",
        argv=(
            *(str(find_valkey()), "--port", str(port), "--bind", LOOPBACK),
            *("--save", "", "--appendonly", "no", "--dir", str(scratch)),
        ),
        log=scratch / "valkey.log",
        cores=cores,
        environment=clean_environment(),
    )
    async with running(program) as server:
        counts = ValkeyCounts(port)
        await _until_answering(server, counts)
        yield counts


async def _until_answering(server: Running, counts: ValkeyCounts) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _START_SECONDS
    while True:
        server.require_alive()
        try:
            await counts.reads()
        except OSError:
            if loop.time() > deadline:
                raise BenchError("Valkey does not answer") from None
            await asyncio.sleep(0.05)
        else:
            return
