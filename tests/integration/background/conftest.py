"""A whole gateway for responses in the background, and what tests ask it."""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import openai
import psutil
import pytest
from openai.types.responses import Response
from temporalio.client import Client

from gateway.durable import EngineAddress
from tests.contract.harness.gateway import Gateway, gateway_of, start_up
from tests.contract.harness.processes import passable_directory, until
from tests.contract.harness.simulator import Simulator, running_simulator
from workflows.connection import connect

MODEL = "claude-sonnet-5-5"
OPEN = ("queued", "in_progress")


@pytest.fixture(scope="package")
def home() -> Iterator[Path]:
    with passable_directory("gateway-background-") as directory:
        yield directory


@pytest.fixture(scope="package")
def upstream() -> Iterator[Simulator]:
    with running_simulator("--delta-delay", "0") as simulator:
        yield simulator


@pytest.fixture(scope="package")
def gateway(home: Path, upstream: Simulator) -> Iterator[Gateway]:
    with start_up(home, upstream.base_url, "--api-processes", "1", LOG_LEVEL="info") as up:
        yield gateway_of(up.wait_ready())


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=gateway.base_url, api_key=gateway.api_key, max_retries=0, timeout=30
    ) as sdk:
        yield sdk


@pytest.fixture
async def temporal(gateway: Gateway) -> Client:
    return await connect(EngineAddress(gateway.environment["TEMPORAL_ADDRESS"]))


@pytest.fixture
async def database(gateway: Gateway) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(gateway.environment["DATABASE_URL"])
    yield connection
    await connection.close()


@dataclass(frozen=True)
class Event:
    """An event of a stream as it came over the wire."""

    id: int
    data: str


@contextlib.contextmanager
def events_of(
    gateway: Gateway, path: str, *, last_event_id: int | None = None, **query: Any
) -> Iterator[Iterator[Event]]:
    """The events of a stream that is read again."""
    headers = {} if last_event_id is None else {"last-event-id": str(last_event_id)}
    params = {"stream": "true", **query}
    with (
        gateway.http() as http,
        http.stream("GET", path, params=params, headers=headers) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        yield _parsed(answer)


def _parsed(answer: httpx2.Response) -> Iterator[Event]:
    number, data = -1, ""
    for line in answer.iter_lines():
        if line.startswith("id: "):
            number = int(line[4:])
        elif line.startswith("data: "):
            data = line[6:]
        elif not line and data:
            yield Event(number, data)
            number, data = -1, ""


def ended(client: openai.OpenAI, response_id: str, seconds: float = 60.0) -> Response:
    """The response once it has ended."""
    deadline = time.monotonic() + seconds
    while (response := client.responses.retrieve(response_id)).status in OPEN:
        assert time.monotonic() < deadline, response.status
        time.sleep(0.05)
    return response


async def usage_rows(database: asyncpg.Connection, response_id: str) -> list[asyncpg.Record]:
    """The usage rows of a response."""
    return list(
        await database.fetch("select * from usage_events where request_id = $1", response_id)
    )


def kill(gateway: Gateway, word: str) -> None:
    """kill -9 of every child of the supervisor whose command has this word."""
    killed = 0
    for child in psutil.Process(gateway.pids["supervisor"]).children():
        with contextlib.suppress(psutil.Error):
            if any(word in part for part in child.cmdline()[:9]):
                child.kill()
                killed += 1
    assert killed


def until_answered(gateway: Gateway) -> None:
    """Waits until the API answers again."""

    def answers() -> bool:
        with contextlib.suppress(httpx2.TransportError), gateway.http() as http:
            return http.get("/health/ready").status_code == 200
        return False

    until(answers, "the API answers", 60)
