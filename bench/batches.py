"""`python -m bench.batches`: how many items of a batch one worker executes, and what they leave.

The whole gateway runs with one API process and one worker; the simulator in instant mode answers in
place of Claude, so what is measured is the gateway, PostgreSQL and Temporal on the cores there are.
"""

import argparse
import asyncio
import http.client
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil

from bench.errors import BenchError
from bench.processes import LOOPBACK, Program, clean_environment, python, running
from bench.stack import UP_SECONDS, up_program
from bench.table import number, render
from gateway.durable import EngineAddress, batch_workflow_id
from workflows.connection import connect

_GOAL_ITEMS_A_SECOND = 50.0
_GOAL_HISTORY_BYTES = 1_000.0
_START_SECONDS = 30.0
_ENOUGH_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What a batch came to."""

    parallelism: int
    items: int
    seconds: float
    worker_cpu_seconds: float
    worker_megabytes: float
    history_bytes: int

    def row(self) -> tuple[str, ...]:
        """The cells of its row."""
        return (
            f"{self.items} items, {self.parallelism} at once",
            number(self.items / self.seconds, 0, "/s"),
            number(1000 * self.worker_cpu_seconds / self.items, 2, " ms"),
            number(self.worker_megabytes, 0, " MB"),
            number(self.history_bytes / self.items, 0, " bytes"),
        )


@dataclass(frozen=True, slots=True)
class Served:
    """A running gateway, by what its `up` has told."""

    port: int
    api_key: str
    worker: psutil.Process
    temporal: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=120)
        headers = {"authorization": f"Bearer {self.api_key}", "content-type": "application/json"}
        data = None if body is None else orjson.dumps(body)
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise BenchError(f"{method} {path}: {answer.status} {said[:300]!r}")
        return orjson.loads(said)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the bench; 0 when it measured, whatever it measured."""
    command = argparse.ArgumentParser(prog="python -m bench.batches", description=__doc__)
    command.add_argument("--items", type=int, default=3000, metavar="N")
    options = command.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="coding-gateway-bench-") as directory:
        scratch = Path(directory)
        scratch.chmod(0o711)  # the database may have to run as another user
        figures = asyncio.run(_run(scratch, options.items))
    head = ("batch", "items", "worker CPU/item", "worker memory", "history/item")
    sys.stdout.write(render([head, *(each.row() for each in figures)]) + "\n")
    best = max(each.items / each.seconds for each in figures)
    history = max(each.history_bytes / each.items for each in figures)
    goals = (best >= _GOAL_ITEMS_A_SECOND, history <= _GOAL_HISTORY_BYTES)
    shown = ["ok" if met else "missed" for met in goals]
    sys.stdout.write(f"goals: 50 items/s {shown[0]}, 1 KB of history an item {shown[1]}\n")
    return 0


async def _run(scratch: Path, items: int) -> list[Figures]:
    cores = frozenset(os.sched_getaffinity(0))
    program = Program(
        name="simulator",
        argv=python("simulator", "--instant"),
        log=scratch / "simulator.log",
        cores=cores,
        environment=clean_environment(),
    )
    async with running(program) as simulator:
        upstream = orjson.loads(await simulator.read_line(_START_SECONDS))["port"]
        settings = {
            "ANTHROPIC_API_KEY": "bench",
            "ANTHROPIC_BASE_URL": f"http://{LOOPBACK}:{upstream}",
            "RATE_LIMIT_RPM": "100000000",
        }
        async with running(up_program(scratch, cores, settings)) as up:
            served = _served(orjson.loads(await up.read_line(UP_SECONDS)))
            await _measured(served, 200, 16)  # what a process does once is not the batch's
            return [await _measured(served, items, at_once) for at_once in (4, 16, 64)]


def _served(told: dict[str, Any]) -> Served:
    worker = psutil.Process(told["pids"]["worker"][0])
    address = worker.environ()["TEMPORAL_ADDRESS"]
    port = int(told["base_url"].removesuffix("/v1").rpartition(":")[2])
    return Served(port, told["api_key"], worker, address)


async def _measured(served: Served, items: int, parallelism: int) -> Figures:
    asked = {
        "mode": "paced",
        "parallelism": parallelism,
        "requests": [
            {
                "model": "claude-sonnet-5-5",
                "max_tokens": 4096,
                "messages": [
                    {"role": "system", "content": "You review code. " * 60},
                    {"role": "user", "content": f"Review number {time.time_ns()} {each}"},
                ],
            }
            for each in range(items)
        ],
    }
    before = served.worker.cpu_times()
    begun = time.monotonic()
    batch = await asyncio.to_thread(served.call, "POST", "/v1/batch", asked)
    accepted = time.monotonic()
    while batch["status"] != "completed":
        if time.monotonic() - begun > _ENOUGH_SECONDS:
            raise BenchError(f"the batch is {batch['status']}: {batch['counts']}")
        await asyncio.sleep(0.1)
        batch = await asyncio.to_thread(served.call, "GET", f"/v1/batch/{batch['id']}")
    seconds = time.monotonic() - accepted
    if batch["counts"]["succeeded"] != items:
        raise BenchError(f"not every item succeeded: {batch['counts']}")
    after = served.worker.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    history = await _history_bytes(served.temporal, batch["id"])
    memory = served.worker.memory_info().rss / 1e6
    return Figures(parallelism, items, seconds, cpu, memory, history)


async def _history_bytes(address: str, batch_id: str) -> int:
    """What the workflow has left in Temporal, all its runs."""
    client = await connect(EngineAddress(address))
    total = 0
    async for run in client.list_workflows(f"WorkflowId = '{batch_workflow_id(batch_id)}'"):
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        total += sum(event.ByteSize() for event in history.events)
    return total


if __name__ == "__main__":
    sys.exit(main())
