"""API processes are replaced under load, and no client notices."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from gateway import wire
from tests.contract.harness.gateway import Gateway, gateway_of, start_up
from tests.contract.harness.processes import passable_directory, until
from tests.contract.harness.simulator import running_simulator
from tests.integration.stack_command import COMMAND, Up

SLOW = "[[sim:deltas count=40 chars=4 interval=0.05]]"  # two seconds


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with passable_directory("gateway-restart-") as home:
        yield home


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[tuple[Up, Gateway]]:
    """Two API processes and their supervisor."""
    with running_simulator("--delta-delay", "0") as upstream:
        up = start_up(home, upstream.base_url, "--api-processes", "2", SHUTDOWN_GRACE_SECONDS="20")
        with up:
            yield up, gateway_of(up.wait_ready())


def api_pids(gateway: Gateway) -> list[int]:
    state = wire.loads((gateway.home / "run" / "state.json").read_bytes())
    parts = [part for part in state["parts"] if part["group"] == "api"]
    return [part["identity"]["pid"] for part in parts if part["ready"]]


@dataclass
class Load:
    """Clients that keep their connections, some streaming, until told to stop."""

    gateway: Gateway
    asked: int = 0
    failures: list[str] = field(default_factory=list)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, clients: int) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(clients):
                tasks.create_task(self._client(number))

    async def _client(self, number: int) -> None:
        headers = {"authorization": f"Bearer {self.gateway.api_key}"}
        async with httpx2.AsyncClient(
            base_url=self.gateway.root_url, headers=headers, timeout=30
        ) as http:
            while not self.stopped.is_set():
                await self._ask(http, stream=number % 2 == 0)
                await asyncio.sleep(0.002 * (number % 5))

    async def _ask(self, http: httpx2.AsyncClient, *, stream: bool) -> None:
        self.asked += 1
        text = SLOW if stream else "hi"
        body: dict[str, Any] = {
            "model": "claude-haiku-5-5",
            "stream": stream,
            "messages": [{"role": "user", "content": text}],
        }
        try:
            response = await http.post("/v1/chat/completions", json=body)
        except httpx2.HTTPError as error:
            self.failures.append(repr(error))
            return
        if response.status_code != 200 or (stream and "[DONE]" not in response.text):
            self.failures.append(f"{response.status_code} {response.text[-200:]}")


def not_ready(gateway: Gateway) -> bool:
    response = httpx2.get(f"{gateway.root_url}/health/ready", timeout=5)
    assert response.headers.get("connection") == "close" or response.status_code == 200
    return response.status_code == 503


def restart(gateway: Gateway) -> None:
    """The command a user gives."""
    done = subprocess.run(
        [*COMMAND, "restart", "--data-dir", str(gateway.home)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(240)
async def test_no_request_fails_while_all_processes_are_replaced_twice(
    stack: tuple[Up, Gateway],
) -> None:
    _, gateway = stack
    load = Load(gateway)
    running = asyncio.ensure_future(load.run(16))
    before = set(api_pids(gateway))
    for _ in range(2):
        await asyncio.to_thread(restart, gateway)
    await asyncio.sleep(3)  # streams of the last old process go on
    load.stopped.set()
    await running
    assert load.failures == []
    assert load.asked > 100
    after = set(api_pids(gateway))
    assert len(after) == 2
    assert not after & before
    until(lambda: not any(psutil.pid_exists(pid) for pid in before), "the old ones are gone", 30)


@pytest.mark.timeout(120)
def test_a_new_version_that_cannot_start_leaves_the_old_one_serving(
    stack: tuple[Up, Gateway],
) -> None:
    up, gateway = stack
    before = api_pids(gateway)
    # What the new process is started with is gone: its log cannot be opened.
    logs = gateway.home / "logs"
    hidden = logs.with_name("logs-away")
    logs.rename(hidden)
    logs.touch()
    try:
        os.kill(up.process.pid, signal.SIGUSR1)
        until(lambda: "goes on as it was" in up.progress, "it is told", 60)
    finally:
        logs.unlink()
        hidden.rename(logs)
    assert api_pids(gateway) == before
    with gateway.http() as http:
        body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
        assert http.post("/v1/chat/completions", json=body).status_code == 200


def test_restart_without_a_stack_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "restart", "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "coding-gateway up" in done.stderr


@pytest.mark.timeout(120)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_a_stream_that_outlasts_the_grace_is_told_so(home: Path, path: str) -> None:
    """One process alone, as a container runs it: SIGTERM, and a stream of minutes."""
    with running_simulator("--delta-delay", "0") as upstream:
        own = home / path.rpartition("/")[2]
        own.mkdir(mode=0o711)
        up = start_up(own, upstream.base_url, "--api-processes", "1", SHUTDOWN_GRACE_SECONDS="1")
        with up:
            gateway = gateway_of(up.wait_ready())
            text = "[[sim:deltas count=5000 chars=4 interval=0.05]]"
            body: dict[str, Any] = {"model": "claude-haiku-5-5", "stream": True, "max_tokens": 9000}
            if path == "/v1/responses":
                body = {"model": "claude-haiku-5-5", "stream": True, "input": text}
            else:
                body["messages"] = [{"role": "user", "content": text}]
            with gateway.http() as http, http.stream("POST", path, json=body) as response:
                pieces = response.iter_text()
                seen = next(pieces)
                os.kill(gateway.pids["api"][0], signal.SIGTERM)
                until(lambda: not_ready(gateway), "it says that it is about to end", 5)
                seen += "".join(pieces)
    assert "the gateway is stopping" in seen
    assert "[DONE]" not in seen
    assert "message_stop" not in seen
    assert "response.completed" not in seen


@pytest.mark.timeout(120)
async def test_many_clients_that_read_nothing_hold_bounded_memory(
    stack: tuple[Up, Gateway],
) -> None:
    """Each asks for megabytes and reads none of it."""
    _, gateway = stack
    host, port = gateway.root_url.removeprefix("http://").split(":")
    body = wire.dumps(
        {
            "model": "claude-haiku-5-5",
            "stream": True,
            "messages": [{"role": "user", "content": "[[sim:deltas count=20000 chars=400]]"}],
        }
    )
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\n"
        f"authorization: Bearer {gateway.api_key}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode()
    writers = []

    def resident() -> float:
        return sum(psutil.Process(pid).memory_info().rss for pid in api_pids(gateway)) / 2**20

    before = resident()
    clients = 40
    for _ in range(clients):
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(head + body)
        writers.append((reader, writer))
    await asyncio.sleep(6)
    grown = resident() - before
    for _, writer in writers:
        writer.transport.abort()
    # Eight megabytes each, if nobody held the upstream back.
    assert grown < clients * 1.5
    with gateway.http() as http:
        plain = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
        assert http.post("/v1/chat/completions", json=plain).status_code == 200
