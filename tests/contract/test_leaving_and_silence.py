"""Clients that leave, and upstreams that fall silent."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from tests.contract.harness.gateway import Gateway, api_beside
from tests.contract.harness.simulator import Simulator

LEAVE_SECONDS = 3.0  # a second is asked for; the rest is slack for a busy machine


def ask(text: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "claude-sonnet-5-5", "messages": messages, **fields}


@pytest.fixture
def mark() -> str:
    """A word by which a request is found again at the upstream."""
    return f"mark-{secrets.token_hex(8)}"


@pytest.fixture
async def http_async(gateway: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    async with httpx2.AsyncClient(base_url=gateway.root_url, headers=headers, timeout=30) as http:
        yield http


async def rows_of(gateway: Gateway, session: str) -> list[asyncpg.Record]:
    """Usage rows of a session, once there is at least one and no more come."""
    connection = await asyncpg.connect(gateway.environment["DATABASE_URL"])
    try:
        deadline = time.monotonic() + 10
        query = "select * from usage_events where session_id = $1"
        while not await connection.fetch(query, session):
            assert time.monotonic() < deadline, "the usage row did not come"
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)  # a second row of the same request would be written by now
        return list(await connection.fetch(query, session))
    finally:
        await connection.close()


async def leave_in_the_middle(http: httpx2.AsyncClient, body: Any, session: str) -> bytes:
    """Reads the beginning of a stream, then drops the connection."""
    headers = {"x-session-id": session}
    async with http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
        assert answer.status_code == 200
        seen = b""
        async for piece in answer.aiter_raw():
            seen += piece
            if seen.count(b"data: ") > 4:
                break
    return seen


async def test_p46_a_client_that_leaves_mid_stream_frees_the_upstream_and_is_billed_once(
    http_async: httpx2.AsyncClient, gateway: Gateway, simulator: Simulator, mark: str
) -> None:
    body = ask(f"{mark} [[sim:deltas count=2000 chars=20 interval=0.02]]", stream=True)
    seen = await leave_in_the_middle(http_async, body, mark)
    assert b'"content":' in seen
    record = await asyncio.to_thread(simulator.until_left, mark, LEAVE_SECONDS)
    assert record["events_sent"] < 1000
    (row,) = await rows_of(gateway, mark)
    assert (row["status"], row["http_status"]) == ("aborted", 499)
    assert row["input_tokens"] > 0
    assert row["output_tokens"] > 1
    assert row["estimated"]
    assert row["cost_usd"] > 0
    assert row["stream"]


@pytest.mark.parametrize("stream", [False, True])
async def test_p46_a_client_that_leaves_before_the_first_byte(
    http_async: httpx2.AsyncClient,
    gateway: Gateway,
    simulator: Simulator,
    mark: str,
    stream: bool,
) -> None:
    body = ask(f"{mark} [[sim:silence before_head seconds=30]][[sim:text late]]", stream=stream)
    with pytest.raises(httpx2.ReadTimeout):
        await http_async.post(
            "/v1/chat/completions", json=body, headers={"x-session-id": mark}, timeout=0.7
        )
    await asyncio.to_thread(simulator.until_left, mark, LEAVE_SECONDS)
    (row,) = await rows_of(gateway, mark)
    assert row["status"] == "aborted"
    assert row["output_tokens"] == 0
    assert len(simulator.records_with(mark)) == 1


async def test_p46_a_client_that_leaves_while_a_retry_is_waited_for(
    http_async: httpx2.AsyncClient, gateway: Gateway, simulator: Simulator, mark: str
) -> None:
    body = ask(f"{mark} [[sim:error overloaded_error retry_after=20]]")
    with pytest.raises(httpx2.ReadTimeout):
        await http_async.post(
            "/v1/chat/completions", json=body, headers={"x-session-id": mark}, timeout=0.7
        )
    (row,) = await rows_of(gateway, mark)  # long before the retry would have been made
    assert (row["status"], row["http_status"]) == ("aborted", 499)
    assert len(simulator.records_with(mark)) == 1


async def test_p46_a_client_that_leaves_a_request_that_is_not_streamed(
    http_async: httpx2.AsyncClient, gateway: Gateway, simulator: Simulator, mark: str
) -> None:
    body = ask(f"{mark} [[sim:deltas count=2000 chars=20 interval=0.02]]")
    with pytest.raises(httpx2.ReadTimeout):
        await http_async.post(
            "/v1/chat/completions", json=body, headers={"x-session-id": mark}, timeout=0.7
        )
    await asyncio.to_thread(simulator.until_left, mark, LEAVE_SECONDS)
    (row,) = await rows_of(gateway, mark)
    assert row["status"] == "aborted"
    assert row["input_tokens"] > 0
    assert row["output_tokens"] > 1
    assert not row["stream"]


async def test_p46_many_leave_at_once_and_nothing_stays_open(
    http_async: httpx2.AsyncClient, simulator: Simulator, gateway: Gateway, mark: str
) -> None:
    body = ask(f"{mark} [[sim:deltas count=2000 chars=20 interval=0.02]]", stream=True)
    await asyncio.gather(*(leave_in_the_middle(http_async, body, mark) for _ in range(12)))
    deadline = time.monotonic() + LEAVE_SECONDS + 2
    while not all(record["client_left"] for record in simulator.records_with(mark)):
        assert time.monotonic() < deadline, "an upstream stream stays open"
        await asyncio.sleep(0.1)
    assert len(simulator.records_with(mark)) == 12
    assert len(await rows_of(gateway, mark)) == 12


@pytest.fixture(scope="module")
def impatient(gateway: Gateway, contract_home: Path) -> Iterator[Gateway]:
    """An API process that comments soon and gives a silent upstream up soon."""
    with api_beside(
        gateway,
        contract_home / "impatient",
        KEEP_ALIVE_SECONDS="0.2",
        UPSTREAM_IDLE_SECONDS="1.5",
        UPSTREAM_TIMEOUT_SECONDS="0.7",
    ) as beside:
        yield beside


def events_with_times(gateway: Gateway, body: Any) -> tuple[list[str], float]:
    """The events of a stream as they came, and how long it took."""
    began = time.monotonic()
    with (
        gateway.http() as http,
        http.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        text = answer.read().decode()
    return [event for event in text.split("\n\n") if event], time.monotonic() - began


def test_p30_a_silent_stream_gets_comments_that_clients_ignore(impatient: Gateway) -> None:
    text = "[[sim:text before after]][[sim:silence after_events events=5 seconds=1.1]]"
    events, _ = events_with_times(impatient, ask(text, stream=True))
    assert events.count(": ping") >= 3
    assert events[-1] == "data: [DONE]"
    assert all(event == ": ping" or event.startswith("data: ") for event in events)


def test_p31_comments_do_not_hide_a_dead_upstream(impatient: Gateway) -> None:
    text = "[[sim:text before after]][[sim:silence after_events events=5 seconds=60]]"
    events, seconds = events_with_times(impatient, ask(text, stream=True))
    assert 1.0 < seconds < 10
    assert events.count(": ping") >= 3
    assert events[-1].startswith('data: {"error":{')
    assert '"code":"timeout"' in events[-1]


def test_p31_upstream_pings_count_as_life(impatient: Gateway) -> None:
    text = "[[sim:pings count=5 interval=0.7]][[sim:text still here]]"
    events, seconds = events_with_times(impatient, ask(text, stream=True))
    assert seconds > 3
    assert events[-1] == "data: [DONE]"


def test_p31_silence_in_an_answer_that_is_not_streamed_is_a_504(impatient: Gateway) -> None:
    text = "[[sim:text before after]][[sim:silence after_events events=5 seconds=60]]"
    with impatient.http() as http:
        answer = http.post("/v1/chat/completions", json=ask(text))
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")


@pytest.mark.parametrize("place", ["before_head", "after_head"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_upstream_without_a_first_byte_is_a_504_after_three_attempts(
    impatient: Gateway, simulator: Simulator, place: str, stream: bool
) -> None:
    body = ask(f"[[sim:silence {place} seconds=60]][[sim:text late]]", stream=stream)
    with impatient.http() as http:
        answer = http.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")
    assert len(simulator.requests()) == 3
