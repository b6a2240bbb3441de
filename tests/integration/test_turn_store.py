"""The turn store on real servers that are flushed, frozen, killed and refused."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.security.sealing import Sealer
from gateway.storage.database import create_engine
from gateway.storage.turn_store import TurnRow, TurnTable
from gateway.storage.valkey import Valkey
from gateway.turns.store import MAX_TURN_BYTES, MAX_TURNS, TurnStore
from gateway.turns.turn import Turn
from tests.integration.valkey_server import ValkeyServer

SEALER = Sealer([b"k" * 32])
Make = Callable[[], TurnStore]


def turn(words: str = "words", stored_at: int | None = None) -> Turn:
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": words},
    ]
    now = int(time.time()) if stored_at is None else stored_at
    return Turn("claude-sonnet-5-5", b"s" * 16, b"c" * 16, b"p" * 16, now, content)


@pytest.fixture
def make(valkey: Valkey, engine: AsyncEngine) -> Make:
    """Another process: a store with nothing in memory."""

    def made() -> TurnStore:
        return TurnStore(valkey, TurnTable(engine), SEALER, ttl_seconds=3600)

    return made


async def found(store: TurnStore, *keys: str, project: str = "a") -> dict[str, Turn]:
    return await store.look_up(project, keys).found()


async def until(fact: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not await fact():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_turn_is_found_by_another_process_without_postgres(
    make: Make, valkey: Valkey
) -> None:
    make().save("a", "k1", turn("one"))
    other = make()
    before = valkey.round_trips
    assert (await found(other, "k1", "k2"))["k1"].content == turn("one").content
    assert valkey.round_trips == before + 1
    assert await found(other, "k1") != {}
    assert valkey.round_trips == before + 1  # from memory


async def test_all_turns_of_a_history_take_one_round_trip(make: Make, valkey: Valkey) -> None:
    writer, keys = make(), [f"k{number}" for number in range(200)]
    for key in keys:
        writer.save("a", key, turn(key))
    reader = make()
    before = valkey.round_trips
    assert len(await found(reader, *keys)) == 200
    assert valkey.round_trips == before + 1


async def test_of_an_endless_history_only_the_newest_turns_are_asked_for(make: Make) -> None:
    writer, keys = make(), [f"k{number}" for number in range(MAX_TURNS + 50)]
    for key in keys:
        writer.save("a", key, turn(key))
    assert list(await found(make(), *keys)) == keys[-MAX_TURNS:]


async def test_what_valkey_lost_comes_from_postgres_once(make: Make, valkey: Valkey) -> None:
    writer = make()
    writer.save("a", "k1", turn("one"))
    assert await writer.writes.flush()
    await valkey.call("FLUSHALL")
    reader = make()
    assert (await found(reader, "k1"))["k1"].content == turn("one").content
    assert reader.postgres_reads == 1
    third = make()
    assert "k1" in await found(third, "k1")
    assert third.postgres_reads == 0  # it was put back into Valkey
    assert 0 < await valkey.call("TTL", "gateway:{a}:turn:k1") <= 3600


async def test_turns_nobody_has_stored_cost_one_query_not_one_a_request(make: Make) -> None:
    store = make()
    for _ in range(20):
        assert await found(store, "x1", "x2") == {}
    assert store.postgres_reads == 1
    assert await found(store, "x1", "x2", "x3") == {}
    assert store.postgres_reads == 2


async def test_a_turn_that_is_stored_later_is_found_although_it_was_unknown(make: Make) -> None:
    store = make()
    assert await found(store, "k1") == {}
    store.save("a", "k1", turn())
    assert "k1" in await found(store, "k1")
    other = make()
    assert await found(other, "k2") == {}
    store.save("a", "k2", turn())
    assert "k2" in await found(other, "k2")


async def test_another_project_never_gets_it(make: Make, valkey: Valkey) -> None:
    store = make()
    store.save("a", "k1", turn())
    await store.writes.flush()
    for reader in (store, make()):
        assert await found(reader, "k1", project="b") == {}
    stolen = await valkey.call("GET", "gateway:{a}:turn:k1")
    await valkey.call("SET", "gateway:{b}:turn:k1", stolen)
    await valkey.call("SET", "gateway:{a}:turn:k2", stolen)
    assert await found(make(), "k1", project="b") == {}
    assert await found(make(), "k2") == {}


async def test_what_is_stored_cannot_be_read_without_the_key(
    make: Make, valkey: Valkey, engine: AsyncEngine
) -> None:
    store = make()
    store.save("a", "k1", turn("a secret sentence"))
    await store.writes.flush()
    in_valkey = await valkey.call("GET", "gateway:{a}:turn:k1")
    async with engine.connect() as connection:
        in_postgres = (await connection.execute(text("select sealed from turns"))).scalar_one()
    for kept in (in_valkey.decode(), in_postgres):
        assert "secret" not in kept
    stranger = TurnStore(valkey, TurnTable(engine), Sealer([b"z" * 32]), ttl_seconds=3600)
    assert await found(stranger, "k1") == {}


async def test_damaged_entries_are_no_entries(make: Make, valkey: Valkey) -> None:
    for number, damaged in enumerate((b"", b"\xff\xfe", b"not sealed", b"A" * 400)):
        await valkey.call("SET", f"gateway:{{a}}:turn:k{number}", damaged)
    assert await found(make(), "k0", "k1", "k2", "k3") == {}


async def test_p53_a_frozen_valkey_costs_a_moment_once_and_postgres_answers(
    make: Make, server: ValkeyServer
) -> None:
    writer = make()
    writer.save("a", "k1", turn())
    await writer.writes.flush()
    server.freeze()
    try:
        reader = make()
        started = time.monotonic()
        assert "k1" in await found(reader, "k1")
        assert time.monotonic() - started < 2.0
        assert reader.postgres_reads == 1
    finally:
        server.thaw()


async def test_a_killed_valkey_loses_no_turn(
    make: Make, server: ValkeyServer, valkey: Valkey
) -> None:
    server.kill()
    writer = make()
    for number in range(30):
        writer.save("a", f"k{number}", turn())
    assert len(await found(writer, "k1", "k29")) == 2
    await writer.writes.flush()
    assert len(await found(make(), "k1", "k29")) == 2
    server.start()

    async def is_up() -> bool:
        return valkey.is_up

    await until(is_up)
    reader = make()
    assert len(await found(reader, "k1", "k29")) == 2
    assert reader.postgres_reads == 1


async def test_what_is_unknown_while_valkey_is_away_is_not_remembered_as_unknown(
    make: Make, server: ValkeyServer
) -> None:
    server.kill()
    writer, reader = make(), make()
    writer.save("a", "k1", turn())  # on its way to PostgreSQL
    assert await found(reader, "k1") == {}
    await writer.writes.flush()
    assert "k1" in await found(reader, "k1")


async def test_p54_without_both_servers_requests_go_on_and_nothing_piles_up(
    server: ValkeyServer, valkey: Valkey
) -> None:
    server.kill()
    nowhere = create_engine("postgresql://gateway@127.0.0.1:1/none")
    store = TurnStore(valkey, TurnTable(nowhere), SEALER, ttl_seconds=3600)
    started = time.monotonic()
    for number in range(50):
        store.save("a", f"k{number}", turn())
        assert await found(store, f"k{number}", f"x{number}") != {}
    assert time.monotonic() - started < 5.0
    assert store.postgres_reads == 1  # then it is left alone for a while
    assert not await store.writes.flush()
    assert len(store.writes) == 50
    await nowhere.dispose()


async def test_turns_wait_for_postgres_and_are_written_by_the_background_task(
    make: Make, engine: AsyncEngine
) -> None:
    store = make()
    task = asyncio.create_task(store.run())
    for number in range(450):
        store.save("a", f"k{number}", turn())

    async def written() -> bool:
        async with engine.connect() as connection:
            count = (await connection.execute(text("select count(*) from turns"))).scalar_one()
        return int(count) == 450 and len(store.writes) == 0

    await until(written)
    task.cancel()
    await asyncio.wait([task])


async def test_a_turn_that_is_too_long_is_not_stored(make: Make) -> None:
    store = make()
    store.save("a", "k1", turn("x" * MAX_TURN_BYTES))
    assert await found(store, "k1") == {}
    assert len(store.writes) == 0


async def test_a_turn_in_use_is_renewed_in_the_second_half_of_its_time(
    make: Make, valkey: Valkey
) -> None:
    now = int(time.time())
    store = make()
    store.renew(
        "a", [("young", turn(stored_at=now - 100)), ("old", turn(stored_at=now - 2000))], now
    )
    renewed = await found(make(), "young", "old")
    assert list(renewed) == ["old"]
    assert renewed["old"].stored_at == now


async def test_expired_turns_are_not_found_and_are_removed_in_batches(engine: AsyncEngine) -> None:
    table = TurnTable(engine)
    now = datetime.now(UTC)
    old = [TurnRow("a", f"old{n}", "s", now - timedelta(seconds=n + 1)) for n in range(25)]
    young = [TurnRow("a", f"young{n}", "s", now + timedelta(hours=1)) for n in range(5)]
    await table.save(old + young)
    keys = [row.key for row in old + young]
    assert {row.key for row in await table.find("a", keys)} == {row.key for row in young}
    assert await table.delete_expired(10) == 10
    removed = await asyncio.gather(*(table.delete_expired(10) for _ in range(3)))
    assert sum(removed) + sum([await table.delete_expired(10) for _ in range(3)]) == 15
    assert len(await table.find("a", keys)) == 5
    async with engine.connect() as connection:
        assert (await connection.execute(text("select count(*) from turns"))).scalar_one() == 5


async def test_a_newer_turn_takes_the_place_of_the_older(make: Make, valkey: Valkey) -> None:
    store = make()
    store.save("a", "k1", turn("older"))
    await store.writes.flush()
    store.save("a", "k1", turn("newer"))
    await store.writes.flush()
    await valkey.call("FLUSHALL")
    assert (await found(make(), "k1"))["k1"].content == turn("newer").content
