"""Faults under a batch: what is done to which part, and what must be true of every item then."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx2
import psutil

from tests.contract.harness.processes import until
from tests.faults.cells import frozen, killed, network_away, restarted
from tests.faults.stack import Hurt, Stack

ITEMS = 300
PARALLELISM = 12
MOST_SECONDS = 150.0
MOST_GROWTH_MB = 60.0
_TEXT = "[[sim:head 0.2]] [[sim:text done]]"
_BEGUN = ITEMS // 5

Json = dict[str, Any]
Prepare = Callable[[Stack, str], None]
"""Does something before the batch is submitted; is told the mark that is in all its items."""


@dataclass(frozen=True)
class BatchCell:
    """One fault under a batch. `hurt` is done to `part` when a fifth of the items is done, or, with
    `at_submit`, while it is submitted.
    """

    part: str
    fault: str
    hurt: Hurt
    at_submit: bool = False
    prepare: Prepare | None = None

    @property
    def name(self) -> str:
        return f"{self.part} {self.fault}"


@dataclass(frozen=True)
class BatchRow:
    """What was seen in one cell; `seconds_added` to the same batch with nothing wrong."""

    cell: str
    succeeded: int
    results: int
    usage_rows: int
    doubled: int
    seconds_added: float
    growth_mb: float

    def wrong(self) -> list[str]:
        """What must not be, in words; empty when all is well."""
        wrong = []
        if self.succeeded != ITEMS:
            wrong.append(f"{self.succeeded} of {ITEMS} succeeded")
        if self.results != ITEMS:
            wrong.append(f"{self.results} results")
        if self.usage_rows != ITEMS or self.doubled:
            wrong.append(f"{self.usage_rows} usage rows, {self.doubled} doubled")
        if self.growth_mb > MOST_GROWTH_MB:
            wrong.append(f"{self.growth_mb:.0f} MB more memory")
        return wrong


class Submitted:
    """A batch as its client sees it; a gateway that does not answer is asked again."""

    def __init__(self, stack: Stack, mark: str) -> None:
        self._stack = stack
        self._mark = mark
        self.id = ""

    def submit(self) -> None:
        """Sends the batch until it is accepted, always under the same key."""
        chat = {"model": "claude-sonnet-5-5", "max_tokens": 4096}
        requests = [
            {**chat, "messages": [{"role": "user", "content": f"{_TEXT} {self._mark}-{number}."}]}
            for number in range(ITEMS)
        ]
        body = {"requests": requests, "mode": "paced", "parallelism": PARALLELISM}
        answer = until(lambda: self._call("POST", "/v1/batch", body), "it is accepted", 60)
        assert answer is not None
        assert self.id in ("", answer["id"]), "the same key has made another batch"
        self.id = answer["id"]

    def order(self, what: str) -> None:
        """pause or resume."""
        until(lambda: self._call("POST", f"/v1/batch/{self.id}/{what}"), what, 30)

    def until_done(self, items: int, seconds: float) -> None:
        """Waits until so many items have a result."""

        def enough() -> bool:
            batch = self._call("GET", f"/v1/batch/{self.id}") or {"counts": {"succeeded": 0}}
            return bool(batch["counts"]["succeeded"] >= items)

        until(enough, f"{items} items of {self.id} are done", seconds)

    def until_ended(self, seconds: float) -> Json:
        """The batch once it has ended."""

        def ended() -> Json | None:
            batch = self._call("GET", f"/v1/batch/{self.id}")
            return batch if batch is not None and batch["status"] == "completed" else None

        batch = until(ended, f"{self.id} has ended", seconds)
        assert batch is not None
        return batch

    def _call(self, method: str, path: str, body: Json | None = None) -> Json | None:
        headers = {"idempotency-key": self._mark}
        with contextlib.suppress(httpx2.TransportError), self._stack.gateway.http() as http:
            answer = http.request(method, path, json=body, headers=headers)
            if answer.status_code == 200:
                found: Json = answer.json()
                return found
            assert answer.status_code >= 500, answer.text
        return None


def _refuses_half(stack: Stack, mark: str) -> None:
    """Each other item is told once to come again in a second."""
    scripts = [
        {
            "match": {"contains": f"{mark}-{number}."},
            "error": {"type": "rate_limit_error", "retry_after": 1},
        }
        for number in range(0, ITEMS, 2)
    ]
    url = f"http://127.0.0.1:{stack.simulator.port}/_sim/scripts"
    assert httpx2.post(url, json=scripts, timeout=10).status_code == 200


def _nothing(_: Stack, __: str) -> None:
    """The fault is of another kind."""


def batch_cells(freeze_seconds: float) -> list[BatchCell]:
    """Every cell; adding a fault is one line."""
    freeze, frozen_for = frozen(freeze_seconds), f"SIGSTOP {freeze_seconds:.0f} s"
    cells = []
    for part in ("worker", "api", "temporal", "postgres", "valkey", "simulator"):
        cells.append(BatchCell(part, "kill -9", killed))
        cells.append(BatchCell(part, frozen_for, freeze))
    cells += [
        BatchCell("worker", "restart", restarted),
        BatchCell("simulator", "port closed 5 s", network_away(5.0)),
        BatchCell("simulator", "429 to half of the calls", _nothing, prepare=_refuses_half),
        BatchCell("temporal", "SIGSTOP 8 s at submit", frozen(8.0), at_submit=True),
        BatchCell("api", "kill -9 at submit", killed, at_submit=True),
        BatchCell("worker", "kill -9 while paused", killed),
    ]
    return cells


async def calm_seconds(stack: Stack) -> float:
    """How long the batch takes with nothing wrong."""
    row = await run_batch_cell(stack, BatchCell("nothing", "wrong", _nothing), 0.0)
    assert row.wrong() == [], row
    return row.seconds_added


async def run_batch_cell(stack: Stack, cell: BatchCell, calm: float) -> BatchRow:
    """The batch, the fault, and what was seen."""
    mark = f"b{time.monotonic_ns()}"
    if cell.prepare is not None:
        cell.prepare(stack, mark)
    resident = _worker_mb(stack)
    batch = Submitted(stack, mark)
    if cell.at_submit:
        hurting = asyncio.ensure_future(asyncio.to_thread(cell.hurt, stack, cell.part))
        await asyncio.to_thread(batch.submit)
        await asyncio.to_thread(batch.submit)  # whoever is not sure sends it again
        await hurting
    else:
        await asyncio.to_thread(batch.submit)
        await asyncio.to_thread(batch.until_done, _BEGUN, 60.0)
        await asyncio.to_thread(_hurt, stack, cell, batch)
    shown = await asyncio.to_thread(batch.until_ended, MOST_SECONDS)
    await asyncio.to_thread(until, stack.is_well, f"well again after {cell.name}", 90.0)
    seen = await _seen(stack, batch.id)
    return BatchRow(
        cell=cell.name,
        succeeded=shown["counts"]["succeeded"],
        results=seen["results"],
        usage_rows=seen["distinct_rows"],
        doubled=seen["rows"] - seen["distinct_rows"],
        seconds_added=seen["seconds"] - calm,
        growth_mb=_worker_mb(stack) - resident,
    )


def _hurt(stack: Stack, cell: BatchCell, batch: Submitted) -> None:
    if "paused" not in cell.fault:
        cell.hurt(stack, cell.part)
        return
    batch.order("pause")
    cell.hurt(stack, cell.part)
    time.sleep(4.0)
    batch.order("resume")


def _worker_mb(stack: Stack) -> float:
    pids = until(lambda: stack.pids("worker"), "a worker is there", 60)
    return float(psutil.Process(pids[0]).memory_info().rss / 2**20)


_SEEN = """
select
  (select count(result) from batch_items where batch_id = $1) as results,
  (select count(*) from usage_events where batch_id = $1) as rows,
  (select count(distinct event_id) from usage_events where batch_id = $1) as distinct_rows,
  (select extract(epoch from completed_at - created_at)::float8 from batches where id = $1)
    as seconds
"""


async def _seen(stack: Stack, batch_id: str) -> asyncpg.Record:
    """Items with a result, usage rows, distinct ones of those, and how long the batch took."""
    connection = await asyncpg.connect(stack.servers.environment["DATABASE_URL"])
    try:
        seen = await connection.fetchrow(_SEEN, batch_id)
    finally:
        await connection.close()
    assert seen is not None
    return seen
