"""The matrix: what is done to which part, and what must be true then."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg

from tests.contract.harness.processes import until
from tests.faults.load import CLIENTS, Load
from tests.faults.proxy import Weather
from tests.faults.stack import Hurt, Stack

WARM_SECONDS = 1.5
"""Load before the fault."""

AFTER_SECONDS = 2.0
"""Load after it."""

RECOVERY_SECONDS = 45.0
MOST_LOG_BYTES = 400_000
MOST_GROWTH_MB = 80.0


def killed(stack: Stack, part: str) -> None:
    """kill -9 of one process."""
    stack.kill(part)


def restarted(stack: Stack, part: str) -> None:
    """An orderly end."""
    stack.restart(part)


def frozen(seconds: float) -> Hurt:
    """SIGSTOP for so long."""

    def hurt(stack: Stack, part: str) -> None:
        with stack.frozen(part):
            time.sleep(seconds)

    return hurt


def network_away(seconds: float) -> Hurt:
    """A port that refuses everybody for so long."""

    def hurt(stack: Stack, part: str) -> None:
        proxy = stack.proxies[part]
        proxy.close_port()
        time.sleep(seconds)
        proxy.open_port()

    return hurt


def _weather(weather: Weather, seconds: float) -> Hurt:
    def hurt(stack: Stack, part: str) -> None:
        proxy = stack.proxies[part]
        proxy.weather = weather
        time.sleep(seconds)
        proxy.weather = Weather()

    return hurt


def _cut(stack: Stack, part: str) -> None:
    for _ in range(5):
        stack.proxies[part].cut()
        time.sleep(0.4)


def _disk_full(stack: Stack, _: str) -> None:
    filler = stack.gateway.home / "journal" / "filler"
    try:
        with contextlib.suppress(OSError), filler.open("wb", 0) as file:
            while True:
                file.write(b"\0" * 4096)
        degraded = "gateway_degraded"
        until(lambda: stack.gateway.metric(degraded, part="journal") > 0, "the disk is full", 20)
        time.sleep(4.0)
    finally:
        filler.unlink()


@dataclass(frozen=True)
class Cell:
    """One fault of one part. `may_fail` bounds the requests that may fail, None for any number:
    of the upstream's faults clients are told, and nothing more can be done.
    """

    part: str
    fault: str
    hurt: Hurt
    may_fail: Callable[[int], int] | None = None

    @property
    def name(self) -> str:
        return f"{self.part} {self.fault}"


def _cells(freeze_seconds: float) -> list[Cell]:
    """Every cell; adding a part or a fault is one line."""
    in_flight = CLIENTS  # what one process may have had at the moment it died
    slow, narrow = Weather(delay_seconds=0.15), Weather(bytes_a_second=40_000)
    cells = []
    for part in ("valkey", "postgres", "temporal", "worker", "api", "simulator"):
        bound: Callable[[int], int] | None = lambda _: 0  # noqa: E731 - one line of a table
        if part == "api":
            bound = lambda _: in_flight  # noqa: E731
        if part == "simulator":
            bound = None
        cells.append(Cell(part, "kill -9", killed, bound))
        cells.append(Cell(part, f"SIGSTOP {freeze_seconds:.0f} s", frozen(freeze_seconds), bound))
        orderly = (lambda _: 0) if part == "api" else bound
        cells.append(Cell(part, "restart", restarted, orderly))
        if part == "worker":
            continue  # nobody connects to it
        if part != "api":  # nobody can be served over a port that is closed
            cells.append(Cell(part, "port closed 5 s", network_away(5.0), bound))
            cells.append(Cell(part, "connections cut", _cut, bound))
        slow_bound = None if part == "simulator" else (lambda _: 0)
        cells.append(Cell(part, "150 ms late", _weather(slow, 5.0), slow_bound))
        cells.append(Cell(part, "40 kB/s", _weather(narrow, 5.0), slow_bound))
    cells.append(Cell("journal", "disk full", _disk_full, lambda _: 0))
    return cells


ALL_CELLS = _cells(20.0)
SHORT_CELLS = [cell for cell in _cells(4.0) if cell.fault.startswith(("kill", "SIGSTOP", "disk"))]


@dataclass(frozen=True)
class Row:
    """What was seen in one cell."""

    cell: str
    requests: int
    failed: int
    faults: str
    p99_added_ms: float
    rows_expected: int
    rows_found: int
    duplicates: int
    recovery_seconds: float
    log_bytes: int
    growth_mb: float

    def wrong(self, cell: Cell) -> list[str]:
        """What must not be, in words; empty when all is well."""
        wrong = []
        if cell.may_fail is not None and self.failed > cell.may_fail(self.requests):
            wrong.append(f"{self.failed} requests failed: {self.faults}")
        if self.requests < 30:
            wrong.append("there was no load")
        if self.rows_found != self.rows_expected:
            wrong.append(f"{self.rows_found} usage rows of {self.rows_expected}")
        if self.duplicates:
            wrong.append(f"{self.duplicates} doubled")
        if self.recovery_seconds > RECOVERY_SECONDS:
            wrong.append(f"well again only after {self.recovery_seconds:.0f} s")
        if self.log_bytes > MOST_LOG_BYTES:
            wrong.append(f"{self.log_bytes} bytes of log")
        if self.growth_mb > MOST_GROWTH_MB:
            wrong.append(f"{self.growth_mb:.0f} MB more memory")
        return wrong


async def undisturbed_p99(stack: Stack) -> float:
    """Seconds of the slowest hundredth when nothing is wrong."""
    load = Load(stack.gateway.root_url, stack.gateway.api_key, f"calm{time.monotonic_ns()}")
    running = asyncio.ensure_future(load.run())
    await asyncio.sleep(4.0)
    load.stop()
    await running
    assert not load.failed, load.failed[:3]
    return load.p99_seconds()


async def run_cell(stack: Stack, cell: Cell, calm_p99: float) -> Row:
    """Load, the fault, and what was seen."""
    name = f"{cell.part}{time.monotonic_ns()}"
    load = Load(stack.gateway.root_url, stack.gateway.api_key, name)
    logged, resident = stack.log_bytes(), stack.resident_mb()
    running = asyncio.ensure_future(load.run())
    await asyncio.sleep(WARM_SECONDS)
    await asyncio.to_thread(cell.hurt, stack, cell.part)
    over = time.monotonic()
    await asyncio.to_thread(until, stack.is_well, f"well again after {cell.name}", 90.0)
    await asyncio.to_thread(until, stack.serves, f"chat is served after {cell.name}", 90.0)
    recovery = time.monotonic() - over
    await asyncio.sleep(AFTER_SECONDS)
    load.stop()
    await running
    late = [outcome for outcome in load.failed if outcome.began > over + recovery + 1.0]
    assert not late, f"requests fail after {cell.name} is over: {late[:3]}"
    found, doubled = await _usage_rows(stack, load)
    faults = Counter(outcome.fault for outcome in load.failed)
    return Row(
        cell=cell.name,
        requests=len(load.outcomes),
        failed=len(load.failed),
        faults=", ".join(f"{count} {fault}" for fault, count in faults.most_common()),
        p99_added_ms=(load.p99_seconds() - calm_p99) * 1000,
        rows_expected=len(load.whole),
        rows_found=found,
        duplicates=doubled,
        recovery_seconds=recovery,
        log_bytes=stack.log_bytes() - logged,
        growth_mb=stack.resident_mb() - resident,
    )


async def _usage_rows(stack: Stack, load: Load) -> tuple[int, int]:
    """How many whole answers have their row, after a while, and how many rows are too many."""
    wanted = {outcome.mark for outcome in load.whole}
    deadline = time.monotonic() + 40
    while True:
        marks = await _marks(stack, load.name)
        if wanted <= set(marks) or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.3)
    await asyncio.sleep(2.5)  # orphaned journals are looked for every two seconds
    marks = await _marks(stack, load.name)
    return len(wanted & set(marks)), sum(count - 1 for count in marks.values())


async def _marks(stack: Stack, name: str) -> "Counter[str]":
    connection = await asyncpg.connect(stack.servers.environment["DATABASE_URL"])
    try:
        rows = await connection.fetch(
            "select session_id from usage_events where session_id like $1", f"{name}-%"
        )
    finally:
        await connection.close()
    return Counter(str(row["session_id"]) for row in rows)
