"""Stored responses on real servers: read at once, gone on from, deleted for good."""

import time
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.errors import NotFoundError, UnavailableError
from gateway.security.sealing import Sealer
from gateway.storage.database import create_engine
from gateway.storage.response_store import ResponseTable
from gateway.storage.valkey import Valkey
from gateway.turns.responses import MAX_RESPONSE_BYTES, StoredResponse, StoredResponses, page_of

SEALER = Sealer([b"k" * 32])
Make = Callable[[], StoredResponses]


def response(number: int, previous: int | None = None, words: str = "said") -> StoredResponse:
    return StoredResponse(
        id=f"resp_{number}",
        created_at=int(time.time()),
        previous_id=None if previous is None else f"resp_{previous}",
        response={"id": f"resp_{number}", "status": "completed", "output": [{"id": "msg"}]},
        input_items=[{"id": f"item_{number}_{n}", "text": words} for n in range(3)],
        turn=[{"type": "text", "text": words}],
    )


@pytest.fixture
async def valkey(valkey_url: str) -> AsyncIterator[Valkey]:
    client = Valkey(valkey_url)
    await client.start()
    await client.call("FLUSHALL")
    yield client
    await client.close()


@pytest.fixture
def make(valkey: Valkey, engine: AsyncEngine) -> Make:
    """Another process: a service with nothing in memory."""

    def made() -> StoredResponses:
        return StoredResponses(valkey, ResponseTable(engine), SEALER, ttl_days=30)

    return made


async def test_a_response_is_read_at_once_here_and_in_another_process(make: Make) -> None:
    service, said = make(), response(1)
    assert service.save("a", said)
    assert await service.get("a", "resp_1") == said
    assert await make().get("a", "resp_1") == said  # not yet in PostgreSQL
    await service.writes.flush()
    assert await make().get("a", "resp_1") == said


async def test_a_response_outlives_valkey(make: Make, valkey: Valkey) -> None:
    service = make()
    service.save("a", response(1))
    await service.writes.flush()
    await valkey.call("FLUSHALL")
    assert (await make().get("a", "resp_1")).turn == [{"type": "text", "text": "said"}]


async def test_another_project_never_gets_it(make: Make) -> None:
    service = make()
    service.save("a", response(1))
    await service.writes.flush()
    for reader in (service, make()):
        with pytest.raises(NotFoundError):
            await reader.get("b", "resp_1")
        with pytest.raises(NotFoundError):
            await reader.delete("b", "resp_1")
    assert (await make().get("a", "resp_1")).id == "resp_1"


async def test_a_conversation_comes_oldest_first_wherever_its_parts_are(make: Make) -> None:
    early, late = make(), make()
    for number in range(5):
        early.save("a", response(number, number - 1 if number else None))
    await early.writes.flush()
    for number in (5, 6):
        late.save("a", response(number, number - 1))
    for reader in (late, make()):
        chain = await reader.conversation("a", "resp_6")
        assert [each.id for each in chain] == [f"resp_{number}" for number in range(7)]


@pytest.mark.parametrize("missing", ["resp_9", "resp_0"])
async def test_a_lost_part_is_named(make: Make, missing: str) -> None:
    service = make()
    service.save("a", response(0))
    service.save("a", response(1, 0))
    service.save("a", response(2, 1))
    wanted = "resp_2"
    if missing == "resp_9":
        wanted = missing
    else:
        await service.delete("a", missing)
    with pytest.raises(NotFoundError) as refused:
        await make().conversation("a", wanted)
    assert refused.value.code == "previous_response_not_found"
    assert missing in refused.value.message


async def test_a_deleted_response_is_gone_everywhere(
    make: Make, valkey: Valkey, engine: AsyncEngine
) -> None:
    service = make()
    service.save("a", response(1))
    await service.delete("a", "resp_1")
    await service.writes.flush()
    for reader in (service, make()):
        with pytest.raises(NotFoundError):
            await reader.get("a", "resp_1")
    with pytest.raises(NotFoundError):
        await service.delete("a", "resp_1")
    async with engine.connect() as connection:
        assert (await connection.execute(text("select count(*) from responses"))).scalar_one() == 0


async def test_a_status_that_changes_is_stored_anew(make: Make) -> None:
    service = make()
    service.save("a", StoredResponse("resp_1", 1, None, {"status": "in_progress"}))
    await service.writes.flush()
    service.save("a", StoredResponse("resp_1", 1, None, {"status": "completed"}))
    await service.writes.flush()
    assert (await make().get("a", "resp_1")).status == "completed"


async def test_without_postgres_a_fresh_response_is_still_read(valkey: Valkey) -> None:
    nowhere = create_engine("postgresql://gateway@127.0.0.1:1/none")
    writer = StoredResponses(valkey, ResponseTable(nowhere), SEALER, ttl_days=30)
    writer.save("a", response(1))
    reader = StoredResponses(valkey, ResponseTable(nowhere), SEALER, ttl_days=30)
    assert await reader.get("a", "resp_1") == response(1)
    with pytest.raises(UnavailableError):
        await reader.get("a", "resp_2")
    await nowhere.dispose()


async def test_what_is_too_long_is_not_stored(make: Make) -> None:
    service = make()
    assert not service.save("a", response(1, words="x" * MAX_RESPONSE_BYTES))
    with pytest.raises(NotFoundError):
        await service.get("a", "resp_1")


async def test_input_items_come_in_pages(make: Make) -> None:
    service = make()
    service.save("a", response(1))
    first = await service.input_items("a", "resp_1", None, 2, "asc")
    assert [item["id"] for item in first.items] == ["item_1_0", "item_1_1"]
    assert first.has_more
    rest = await service.input_items("a", "resp_1", "item_1_1", 2, "asc")
    assert ([item["id"] for item in rest.items], rest.has_more) == (["item_1_2"], False)
    with pytest.raises(NotFoundError):
        page_of(first.items, "nothing", 2, "desc")
    assert [item["id"] for item in page_of(first.items, None, 9, "desc").items] == [
        "item_1_1",
        "item_1_0",
    ]


async def test_expired_responses_are_not_read_and_are_removed(
    make: Make, engine: AsyncEngine, valkey: Valkey
) -> None:
    service = make()
    for number in range(12):
        service.save("a", response(number))
    await service.writes.flush()
    await valkey.call("FLUSHALL")
    async with engine.begin() as connection:
        await connection.execute(
            text("update responses set expires_at = now() where id <> 'resp_7'")
        )
    with pytest.raises(NotFoundError):
        await make().get("a", "resp_1")
    assert (await make().get("a", "resp_7")).id == "resp_7"
    table = ResponseTable(engine)
    assert [await table.delete_expired(8) for _ in range(3)] == [8, 3, 0]
