"""kill -9 of every part under load: no admitted request loses its usage, none is counted twice.

Each request carries a mark, as its session and in its prompt. What the upstream has seen was
admitted, so it must have exactly one row; what came back whole must have its row with its tokens.
"""

import asyncio
import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import psutil
import pytest

from tests.contract.harness.gateway import Gateway, gateway_of, start_up
from tests.contract.harness.processes import passable_directory, until
from tests.contract.harness.simulator import Simulator, running_simulator
from tests.integration.stack_command import Up

CLIENTS = 6
LOAD_SECONDS = 4.0
PACE_SECONDS = 0.03  # keeps what the upstream records within its memory
INPUT_TOKENS, OUTPUT_TOKENS = 7, 30
USAGE = f"[[sim:usage input_tokens={INPUT_TOKENS} output_tokens={OUTPUT_TOKENS}]]"
KINDS = (
    (False, f"[[sim:text quick]]{USAGE}"),
    (True, f"[[sim:text a b c]]{USAGE}"),
    (True, f"[[sim:deltas count=15 chars=8 interval=0.03]]{USAGE}"),
)


@dataclass
class Load:
    """Clients that ask and ask, and what became of each request."""

    gateway: Gateway
    name: str
    whole: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Load":
        for number in range(CLIENTS):
            thread = threading.Thread(target=self._ask, args=(number,), daemon=True)
            thread.start()
            self._threads.append(thread)
        # On a busy machine clients take seconds to begin, and a kill before that cuts nothing.
        until(lambda: len(self.whole) >= CLIENTS, "the load is under way")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _ask(self, client: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            mark = f"{self.name}-{client}-{number}."
            try:
                good = self._once(mark, *KINDS[number % len(KINDS)])
            except httpx2.TransportError:
                good = False
            (self.whole if good else self.broken).append(mark)
            self._stop.wait(PACE_SECONDS)

    def _once(self, mark: str, stream: bool, text: str) -> bool:
        body = {
            "model": "claude-sonnet-5-5",
            "messages": [{"role": "user", "content": f"{mark} {text}"}],
            "stream": stream,
        }
        with self.gateway.http() as http:  # a connection each: any API process may get it
            headers = {"x-session-id": mark}
            answer = http.post("/v1/chat/completions", json=body, headers=headers)
        return answer.status_code == 200 and (not stream or "[DONE]" in answer.text)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with passable_directory("gateway-kill-") as directory:
        yield directory


@pytest.fixture(scope="module")
def upstream() -> Iterator[Simulator]:
    with running_simulator("--delta-delay", "0") as simulator:
        yield simulator


@contextlib.contextmanager
def stack(home: Path, upstream: Simulator) -> Iterator[tuple[Up, Gateway]]:
    """A stack on the one data directory of this module."""
    up = start_up(
        home,
        upstream.base_url,
        *("--api-processes", "2"),
        CIRCUIT_BREAKER_THRESHOLD="1000000",
        LOG_LEVEL="info",
    )
    with up:
        yield up, gateway_of(up.wait_ready())


def parts(gateway: Gateway, group: str) -> list[int]:
    """Process ids of a group that run now."""
    words = {"api": "api.server", "worker": "worker.py"}
    found = []
    for child in psutil.Process(gateway.pids["supervisor"]).children():
        with contextlib.suppress(psutil.Error):
            if any(words[group] in argument for argument in child.cmdline()):
                found.append(child.pid)
    return found


async def rows_of(gateway: Gateway, name: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(gateway.environment["DATABASE_URL"])
    try:
        return list(
            await connection.fetch(
                "select * from usage_events where session_id like $1", f"{name}-%"
            )
        )
    finally:
        await connection.close()


def seen_upstream(upstream: Simulator, name: str) -> set[str]:
    """The marks of requests that reached the upstream."""
    records = upstream.requests()
    assert len(records) < 1000, "the upstream has begun to forget; the load is too high"
    texts = (str(record["body"]["messages"][0]["content"]) for record in records)
    return {text[text.index(f"{name}-") :].split(".")[0] + "." for text in texts if name in text}


async def assert_accounted(gateway: Gateway, upstream: Simulator, load: Load) -> None:
    """Exactly one row for each admitted request, none for others, the right numbers."""
    admitted = seen_upstream(upstream, load.name)
    assert len(load.whole) > 20, "there was no load"
    assert set(load.whole) <= admitted
    deadline = time.monotonic() + 30
    while True:
        rows = await rows_of(gateway, load.name)
        missing = admitted - {row["session_id"] for row in rows}
        if not missing:
            break
        assert time.monotonic() < deadline, f"lost: {sorted(missing)}"
        await asyncio.sleep(0.2)
    await asyncio.sleep(2.5)  # orphaned journals are looked for every two seconds
    rows = await rows_of(gateway, load.name)
    doubled = [
        mark for mark, count in Counter(row["session_id"] for row in rows).items() if count > 1
    ]
    assert doubled == []
    assert {row["session_id"] for row in rows} <= {*load.whole, *load.broken}
    by_mark = {row["session_id"]: row for row in rows}
    for mark in load.whole:
        row = by_mark[mark]
        assert (row["status"], row["input_tokens"], row["output_tokens"]) == (
            "ok",
            INPUT_TOKENS,
            OUTPUT_TOKENS,
        )
    assert all(row["status"] in {"ok", "aborted", "error"} for row in rows)
    assert await asyncio.to_thread(_reported, gateway) == await _stored(gateway)


def _reported(gateway: Gateway) -> int:
    return int(gateway.usage()["totals"]["requests"])


async def _stored(gateway: Gateway) -> int:
    connection = await asyncpg.connect(gateway.environment["DATABASE_URL"])
    try:
        return int(await connection.fetchval("select count(*) from usage_events"))
    finally:
        await connection.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", [1, 2])
async def test_killed_api_processes_lose_and_double_nothing(
    home: Path, upstream: Simulator, seed: int
) -> None:
    chance = random.Random(seed)
    upstream.forget()
    with stack(home, upstream) as (_, gateway):
        with Load(gateway, f"api{seed}") as load:
            for how_many in (1, 1, 2):  # one process may have all the clients
                await asyncio.sleep(chance.uniform(0.3, LOAD_SECONDS / 3))
                running = await asyncio.to_thread(parts, gateway, "api")
                for victim in chance.sample(running, min(how_many, len(running))):
                    os.kill(victim, signal.SIGKILL)
            await asyncio.sleep(1)
        assert load.broken, "nothing was cut: the kill came at no bad moment"
        await asyncio.to_thread(
            until, lambda: len(parts(gateway, "api")) == 2, "both processes are back"
        )
        await assert_accounted(gateway, upstream, load)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", [3, 4])
async def test_a_killed_supervisor_loses_nothing_and_the_next_up_works(
    home: Path, upstream: Simulator, seed: int
) -> None:
    chance = random.Random(seed)
    upstream.forget()
    with stack(home, upstream) as (up, gateway), Load(gateway, f"up{seed}") as load:
        await asyncio.sleep(chance.uniform(1.5, LOAD_SECONDS))
        up.process.kill()
        up.process.wait()
        await asyncio.sleep(3)  # its children end in order; later clients find nobody
    assert load.broken
    with stack(home, upstream) as (_, gateway):
        with gateway.http() as http:
            body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
            assert http.post("/v1/chat/completions", json=body).status_code == 200
        await assert_accounted(gateway, upstream, load)


@pytest.mark.timeout(120)
async def test_other_parts_die_and_no_client_notices(home: Path, upstream: Simulator) -> None:
    chance = random.Random(5)
    upstream.forget()
    with stack(home, upstream) as (_, gateway):
        with Load(gateway, "rest") as load:
            victims = [gateway.pids[name] for name in ("postgres", "valkey", "temporal")]
            victims += parts(gateway, "worker")
            chance.shuffle(victims)
            for victim in victims:
                await asyncio.sleep(chance.uniform(0.3, 0.9))
                os.kill(victim, signal.SIGKILL)
            await asyncio.sleep(1)
        assert load.broken == []
        await asyncio.to_thread(until, lambda: _is_well(gateway), "all parts are back", 40)
        await asyncio.to_thread(
            until, lambda: len(parts(gateway, "worker")) == 1, "the worker is back"
        )
        await assert_accounted(gateway, upstream, load)


def _is_well(gateway: Gateway) -> Any:
    with gateway.http() as http:
        return http.get("/health").json()["status"] == "ok"
