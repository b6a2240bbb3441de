"""kill -9 of every part under a batch: each item has one result and one usage row."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import psutil
import pytest

from tests.contract.harness.gateway import Gateway, gateway_of, start_up
from tests.contract.harness.processes import passable_directory, until
from tests.contract.harness.simulator import Simulator, running_simulator
from tests.integration.stack_command import run

ITEMS = 1000
MODEL = "claude-sonnet-5-5"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with passable_directory("gateway-batch-") as directory:
        yield directory


@pytest.fixture(scope="module")
def upstream() -> Iterator[Simulator]:
    with running_simulator("--delta-delay", "0") as simulator:
        simulator.set(record=False)
        yield simulator


@pytest.fixture(scope="module")
def gateway(home: Path, upstream: Simulator) -> Iterator[Gateway]:
    with start_up(home, upstream.base_url, "--api-processes", "1", LOG_LEVEL="info") as up:
        yield gateway_of(up.wait_ready())


def submitted(gateway: Gateway, text: str, key: str, **asked: Any) -> dict[str, Any]:
    """The answer to a submission of many chats."""
    body = {
        "requests": [
            {
                "custom_id": f"item-{number}",
                "model": MODEL,
                "max_tokens": 4096,
                "messages": [{"role": "user", "content": f"{text} {number}"}],
            }
            for number in range(ITEMS)
        ],
        "mode": "paced",
        **asked,
    }
    with gateway.http() as http:
        answer = http.post("/v1/batch", json=body, headers={"idempotency-key": key})
    assert answer.status_code == 200, answer.text
    batch: dict[str, Any] = answer.json()
    return batch


def looked_at(gateway: Gateway, batch_id: str) -> dict[str, Any] | None:
    """The batch as the API shows it; None while it cannot."""
    with contextlib.suppress(httpx2.TransportError), gateway.http() as http:
        answer = http.get(f"/v1/batch/{batch_id}")
        if answer.status_code == 200:
            batch: dict[str, Any] = answer.json()
            return batch
    return None


def done_by(gateway: Gateway, batch_id: str, least: int) -> None:
    """Waits until so many items have a result."""

    def enough() -> bool:
        batch = looked_at(gateway, batch_id)
        return batch is not None and batch["counts"]["succeeded"] >= least

    until(enough, f"{least} items are done", 90)


def pids(gateway: Gateway, part: str) -> list[int]:
    """Process ids of a part of the stack that run now."""
    words = {
        "worker": "worker.py",
        "api": "api.server",
        "temporal": "temporal",
        "postgres": "-D",
    }
    found = []
    for child in psutil.Process(gateway.pids["supervisor"]).children():
        with contextlib.suppress(psutil.Error):
            command = child.cmdline()
            is_part = any(words[part] in word for word in command[:9])
            if is_part and (part != "postgres" or "postgres" in command[0]):
                found.append(child.pid)
    return found


async def rows(gateway: Gateway, batch_id: str) -> tuple[int, int, int, int]:
    """Usage rows, distinct ones of them, items with a result, items in all."""
    connection = await asyncpg.connect(gateway.environment["DATABASE_URL"])
    try:
        usage = "select count(*), count(distinct event_id) from usage_events where batch_id = $1"
        items = "select count(result), count(*) from batch_items where batch_id = $1"
        first, second = (
            await connection.fetchrow(usage, batch_id),
            await connection.fetchrow(items, batch_id),
        )
        assert first is not None
        assert second is not None
        return first[0], first[1], second[0], second[1]
    finally:
        await connection.close()


async def test_every_part_dies_in_turn_and_every_item_is_answered_once(
    gateway: Gateway, upstream: Simulator
) -> None:
    batch = await asyncio.to_thread(submitted, gateway, "[[sim:head 0.25]] item", "kill")
    again = await asyncio.to_thread(submitted, gateway, "[[sim:head 0.25]] item", "kill")
    assert again["id"] == batch["id"]
    for least, part in ((100, "worker"), (300, "api"), (500, "temporal"), (700, "postgres")):
        await asyncio.to_thread(done_by, gateway, batch["id"], least)
        victims = pids(gateway, part)
        assert victims, part
        for victim in victims:
            os.kill(victim, signal.SIGKILL)

    def has_ended() -> bool:
        now = looked_at(gateway, batch["id"])
        return now is not None and now["status"] == "completed"

    await asyncio.to_thread(until, has_ended, "the batch has ended", 180)
    counts = (looked_at(gateway, batch["id"]) or {})["counts"]
    assert (counts["succeeded"], counts["total"]) == (ITEMS, ITEMS)
    assert await rows(gateway, batch["id"]) == (ITEMS, ITEMS, ITEMS, ITEMS)
    with gateway.http() as http:
        lines = http.get(f"/v1/batch/{batch['id']}/results").text.splitlines()
    assert len(lines) == ITEMS


async def test_a_batch_submitted_while_temporal_is_down_is_started_later(
    gateway: Gateway,
) -> None:
    victim = psutil.Process(pids(gateway, "temporal")[0])
    victim.suspend()
    try:
        batch = await asyncio.to_thread(
            submitted, gateway, "[[sim:text quick]]", "down", parallelism=32
        )
        assert batch["status"] == "validating"
    finally:
        victim.resume()

    def has_ended() -> bool:
        now = looked_at(gateway, batch["id"])
        return now is not None and now["status"] == "completed"

    await asyncio.to_thread(until, has_ended, "the sweep has started it", 120)
    assert await rows(gateway, batch["id"]) == (ITEMS, ITEMS, ITEMS, ITEMS)


def test_the_terminal_submits_watches_and_reads(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    lines = [
        f'{{"custom_id":"t-{number}","max_tokens":4096,'
        f'"messages":[{{"role":"user","content":"[[sim:text said {number}]]"}}]}}\n'
        for number in range(30)
    ]
    file.write_text("".join(lines))
    place = ("--data-dir", str(gateway.home))
    submit = ("batch", "submit", str(file), "--watch", "--key", "terminal", *place)
    done = run(*submit, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    batch_id = done.stdout.strip()
    assert "30/30 100%  completed" in done.stderr
    again = run(*submit, cwd=tmp_path)
    assert again.stdout.strip() == batch_id
    listed = run("batch", "list", *place, cwd=tmp_path)
    row = next(line.split() for line in listed.stdout.splitlines() if batch_id in line)
    assert row[1:3] == ["completed", "30/30"]
    shown = run("batch", "show", batch_id, *place, cwd=tmp_path)
    assert "30 total, 30 succeeded" in shown.stdout
    out = tmp_path / "results.jsonl"
    read = run("batch", "results", batch_id, "--out", str(out), *place, cwd=tmp_path)
    assert read.returncode == 0, read.stderr
    assert len(out.read_text().splitlines()) == 30
    refused = run("batch", "cancel", batch_id, *place, cwd=tmp_path)
    assert refused.returncode == 1
    assert "completed" in refused.stderr
