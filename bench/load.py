"""The load generator, a process of its own: keep-alive connections that each wait for an answer.

`python -m bench.load` reads jobs from standard input, one JSON object a line, in the form of `Job`.
For each it connects, sends the warm-up requests, prints a line `{"ready": true}`, waits for a line,
sends the requests and prints a `Result`, or `{"error": why}`. It ends when its input does.
"""

import asyncio
import gc
import sys
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any, cast

import orjson
import uvloop

from bench.bodies import numbered, split_at_serial
from bench.errors import BenchError
from bench.figures import quantile
from bench.http_response import ResponseReader

_LOOPBACK = "127.0.0.1"
_CONNECT_SECONDS = 5.0
_SHOWN_BYTES = 300


@dataclass(frozen=True, slots=True)
class Job:
    """One load. `least_events` is how many events each answer must have.

    `first_serial` numbers the bodies. `stagger_seconds` lies between the first requests of the
    connections. A job that is not done after `deadline_seconds` fails.
    """

    port: int
    path: str
    body: str
    headers: dict[str, str]
    connections: int
    requests: int
    warm_requests: int
    first_serial: int
    least_events: int
    stagger_seconds: float
    deadline_seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """What a job saw; times in microseconds, first_event from the request to the first event."""

    requests: int
    seconds: float
    events: int
    reads: int
    latency_p50: float
    latency_p95: float
    first_event_p50: float | None


@dataclass(slots=True)
class _Run:
    """Requests shared by all connections, and what they saw."""

    requests: int
    finished: asyncio.Future[None]
    started: int = 0
    done: int = 0
    events: int = 0
    reads: int = 0
    latencies: list[float] = field(default_factory=list)
    first_events: list[float] = field(default_factory=list)

    def fail(self, reason: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(BenchError(reason))


class _Connection(asyncio.Protocol):
    """One client: sends the next request when the answer to the last is complete."""

    def __init__(self, client: "_Client") -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._reader: ResponseReader | None = None
        self._sent = 0.0
        self._first_event = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send_next(self) -> None:
        run = self._client.run
        if run.started >= run.requests or self._transport is None:
            return
        run.started += 1
        self._reader = ResponseReader()
        self._first_event = 0.0
        request = self._client.next_request()
        self._sent = perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            self._client.run.fail(f"an answer nobody asked for: {data[:_SHOWN_BYTES]!r}")
            return
        try:
            reader.feed(data)
        except BenchError as error:
            self._client.run.fail(str(error))
            return
        if reader.events and not self._first_event:
            self._first_event = perf_counter()
        if reader.complete:
            self._finish(reader)

    def _finish(self, reader: ResponseReader) -> None:
        now = perf_counter()
        run = self._client.run
        self._reader = None
        if reader.status != 200:
            run.fail(f"status {reader.status}: {bytes(reader.body[:_SHOWN_BYTES])!r}")
            return
        if reader.events < self._client.job.least_events:
            run.fail(f"{reader.events} events, {self._client.job.least_events} expected")
            return
        run.latencies.append(now - self._sent)
        if self._first_event:
            run.first_events.append(self._first_event - self._sent)
        run.events += reader.events
        run.reads += reader.reads
        run.done += 1
        if run.done == run.requests and not run.finished.done():
            run.finished.set_result(None)
        self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.run.fail(f"a connection was closed ({exc})")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class _Client:
    """The connections of one job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._serial = job.first_serial
        self._head = _head(job)
        self._body = split_at_serial(job.body.encode())
        self._connections: list[_Connection] = []
        self.run = self._new_run(job.warm_requests)

    def next_request(self) -> bytes:
        self._serial += 1
        return self._head + numbered(self._body, self._serial)

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(self.job.connections):
            opening = loop.create_connection(lambda: _Connection(self), _LOOPBACK, self.job.port)
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, connection = await opening
            self._connections.append(connection)

    async def warm(self) -> None:
        if self.job.warm_requests:
            await self._go(self._new_run(self.job.warm_requests), 0.0)

    async def measure(self) -> Result:
        run = self._new_run(self.job.requests)
        begun = perf_counter()
        await self._go(run, self.job.stagger_seconds)
        return _result(run, perf_counter() - begun)

    def close(self) -> None:
        self.run.finished.cancel()
        for connection in self._connections:
            connection.close()

    def _new_run(self, requests: int) -> _Run:
        return _Run(requests, asyncio.get_running_loop().create_future())

    async def _go(self, run: _Run, stagger_seconds: float) -> None:
        self.run = run
        loop = asyncio.get_running_loop()
        for place, connection in enumerate(self._connections):
            loop.call_later(place * stagger_seconds, connection.send_next)
        try:
            async with asyncio.timeout(self.job.deadline_seconds):
                await run.finished
        except TimeoutError:
            done = f"{run.done} of {run.requests} requests"
            raise BenchError(f"{done} after {self.job.deadline_seconds:.0f} s") from None


def _head(job: Job) -> bytes:
    lines = [
        f"POST {job.path} HTTP/1.1",
        f"host: {_LOOPBACK}:{job.port}",
        "content-type: application/json",
        f"content-length: {len(job.body.encode())}",
        *(f"{name}: {value}" for name, value in job.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _result(run: _Run, seconds: float) -> Result:
    first = quantile(run.first_events, 0.5) * 1e6 if run.first_events else None
    return Result(
        requests=run.done,
        seconds=seconds,
        events=run.events,
        reads=run.reads,
        latency_p50=quantile(run.latencies, 0.5) * 1e6,
        latency_p95=quantile(run.latencies, 0.95) * 1e6,
        first_event_p50=first,
    )


async def _input_line() -> bytes:
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.readline)


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(message).decode() + "\n")
    sys.stdout.flush()


async def _work(line: bytes) -> None:
    client = _Client(Job(**orjson.loads(line)))
    try:
        await client.connect()
        await client.warm()
        _tell({"ready": True})
        if await _input_line():
            gc.collect()
            _tell(asdict(await client.measure()))
    except (BenchError, OSError) as error:
        _tell({"error": f"{type(error).__name__}: {error}"})
    finally:
        client.close()


async def serve() -> None:
    """Works off jobs until standard input ends."""
    while line := await _input_line():
        await _work(line)


if __name__ == "__main__":
    uvloop.run(serve())
