"""kill -9 of every part under a response in the background, and Temporal away at its creation."""

import asyncio
import secrets
from collections.abc import Iterator

import asyncpg
import openai
import psutil
import pytest

from gateway import wire
from tests.contract.harness.gateway import Gateway, frozen
from tests.contract.harness.processes import until
from tests.contract.harness.simulator import Simulator
from tests.integration.background.conftest import (
    MODEL,
    ended,
    events_of,
    kill,
    until_answered,
    usage_rows,
)

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def marker() -> str:
    return f"fault-{secrets.token_hex(4)}"


@pytest.fixture(autouse=True)
def _well_again(gateway: Gateway) -> Iterator[None]:
    yield
    until_answered(gateway)


def begun(client: openai.OpenAI, gateway: Gateway, marker: str, deltas: int) -> tuple[str, int]:
    """A response that is being made, and the number of an event that its client has."""
    asked = client.responses.create(
        model=MODEL, input=f"[[sim:deltas count={deltas} interval=0.1]] {marker}", background=True
    )
    with events_of(gateway, f"/v1/responses/{asked.id}") as stream:
        seen = [next(stream) for _ in range(8)]
    return asked.id, seen[-1].id


def test_an_api_process_that_dies_costs_nothing_but_the_connection(
    client: openai.OpenAI, gateway: Gateway, upstream: Simulator, marker: str
) -> None:
    response_id, seen = begun(client, gateway, marker, 60)
    kill(gateway, "api.server")
    until_answered(gateway)
    with events_of(gateway, f"/v1/responses/{response_id}", starting_after=seen) as stream:
        numbers = [event.id for event in stream]
    assert numbers == list(range(seen + 1, seen + 1 + len(numbers)))
    assert client.responses.retrieve(response_id).status == "completed"
    assert len(upstream.records_with(marker)) == 1


async def test_a_worker_that_dies_is_the_one_thing_that_repeats_the_call(
    client: openai.OpenAI,
    gateway: Gateway,
    upstream: Simulator,
    database: asyncpg.Connection,
    marker: str,
) -> None:
    response_id, seen = await asyncio.to_thread(begun, client, gateway, marker, 30)
    kill(gateway, "worker.py")
    done = await asyncio.to_thread(ended, client, response_id, 90)
    assert done.status == "completed"
    assert len(upstream.records_with(marker)) == 2
    (row,) = await usage_rows(database, response_id)
    assert row["status"] == "ok"
    path = f"/v1/responses/{response_id}"
    with events_of(gateway, path, starting_after=seen) as old:
        (told,) = list(old)
    assert wire.loads(told.data)["code"] == "response_made_anew"
    with events_of(gateway, path) as new:
        events = [wire.loads(event.data) for event in new]
    assert [event["sequence_number"] for event in events] == list(
        range(events[0]["sequence_number"], events[0]["sequence_number"] + len(events))
    )
    text = "".join(event["delta"] for event in events if event["type"].endswith("text.delta"))
    assert text == done.output_text


async def test_a_worker_that_is_told_to_stop_ends_what_it_has_begun(
    client: openai.OpenAI, gateway: Gateway, upstream: Simulator, marker: str
) -> None:
    response_id, _ = await asyncio.to_thread(begun, client, gateway, marker, 40)
    for child in psutil.Process(gateway.pids["supervisor"]).children():
        if any("worker.py" in word for word in child.cmdline()):
            child.terminate()
    done = await asyncio.to_thread(ended, client, response_id, 60)
    assert done.status == "completed"
    assert len(upstream.records_with(marker)) == 1


async def test_the_call_goes_on_while_postgresql_is_away(
    client: openai.OpenAI,
    gateway: Gateway,
    upstream: Simulator,
    database: asyncpg.Connection,
    marker: str,
) -> None:
    response_id, seen = await asyncio.to_thread(begun, client, gateway, marker, 60)
    path = f"/v1/responses/{response_id}"
    with events_of(gateway, path, starting_after=seen) as stream:
        kill(gateway, "postgres")
        numbers = await asyncio.to_thread(lambda: [event.id for event in stream])
    assert numbers == list(range(seen + 1, seen + 1 + len(numbers)))

    def is_there() -> bool:
        try:
            return client.responses.retrieve(response_id).status == "completed"
        except openai.APIError:
            return False

    await asyncio.to_thread(until, is_there, "the response is there", 60)
    assert len(upstream.records_with(marker)) == 1
    again = await asyncpg.connect(gateway.environment["DATABASE_URL"])
    try:
        assert len(await usage_rows(again, response_id)) == 1
    finally:
        await again.close()


async def test_the_call_goes_on_while_temporal_is_away(
    client: openai.OpenAI, gateway: Gateway, upstream: Simulator, marker: str
) -> None:
    response_id, _ = await asyncio.to_thread(begun, client, gateway, marker, 40)
    kill(gateway, "temporal")
    done = await asyncio.to_thread(ended, client, response_id, 60)
    assert done.status == "completed"
    assert len(upstream.records_with(marker)) == 1


def test_what_is_asked_while_temporal_hangs_is_made_later(
    client: openai.OpenAI, gateway: Gateway, upstream: Simulator, marker: str
) -> None:
    server = next(
        child
        for child in psutil.Process(gateway.pids["supervisor"]).children()
        if any("temporal" in word for word in child.cmdline()[:2])
    )
    with frozen(server.pid):
        asked = client.responses.create(
            model=MODEL, input=f"[[sim:text later]] {marker}", background=True
        )
        assert asked.status == "queued"
        cancelled = client.responses.create(model=MODEL, input="not this", background=True)
        assert client.responses.cancel(cancelled.id).status == "cancelled"
    assert ended(client, asked.id, 90).output_text == "later"
    assert client.responses.retrieve(cancelled.id).status == "cancelled"
    assert len(upstream.records_with(marker)) == 1
