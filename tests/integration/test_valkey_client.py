"""The Valkey client against a real server that is frozen, killed and started again."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.storage.valkey import Script, Valkey, ValkeyDown, ValkeyRefused
from tests.integration.valkey_server import ValkeyServer

ECHO = Script.of("return {KEYS[1], ARGV[1], 7}")


@pytest.fixture
async def valkey(server: ValkeyServer) -> AsyncIterator[Valkey]:
    client = Valkey(server.url)
    client.register(ECHO)
    await client.start()
    assert client.is_up
    yield client
    await client.close()


async def until(fact: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def seconds_to_fail(call: Awaitable[object]) -> float:
    begun = time.monotonic()
    with pytest.raises(ValkeyDown):
        await call
    return time.monotonic() - begun


async def test_replies_come_back_in_the_types_of_the_protocol(valkey: Valkey) -> None:
    assert await valkey.call("SET", "text", "žluťoučký") == b"OK"
    assert await valkey.call("GET", "text") == "žluťoučký".encode()
    assert await valkey.call("GET", "absent") is None
    assert await valkey.call("INCRBY", "count", 5) == 5
    assert await valkey.call("RPUSH", "list", b"\x00\r\n", 2) == 2
    assert await valkey.call("LRANGE", "list", 0, -1) == [b"\x00\r\n", b"2"]


async def test_a_thousand_calls_at_once_get_their_own_replies_in_few_round_trips(
    valkey: Valkey,
) -> None:
    before = valkey.round_trips
    replies = await asyncio.gather(*(valkey.call("ECHO", str(n)) for n in range(1000)))
    assert replies == [str(n).encode() for n in range(1000)]
    # The first leaves alone, since the connection was idle; the others leave together.
    assert valkey.round_trips - before <= 10


async def test_an_idle_connection_sends_before_anything_is_awaited(valkey: Valkey) -> None:
    before = valkey.round_trips
    reply = valkey.call("PING")
    assert valkey.round_trips == before + 1
    assert await reply == b"PONG"


async def test_a_large_value_survives_the_way_there_and_back(valkey: Valkey) -> None:
    value = bytes(range(256)) * 20_000
    await valkey.call("SET", "large", value)
    assert await valkey.call("GET", "large") == value


async def test_a_caller_that_leaves_does_not_shift_the_replies_of_others(valkey: Valkey) -> None:
    abandoned = valkey.call("ECHO", "abandoned")
    kept = valkey.call("ECHO", "kept")
    abandoned.cancel()
    assert await kept == b"kept"


async def test_an_error_reply_fails_only_its_own_call(valkey: Valkey) -> None:
    await valkey.call("SET", "text", "no list")
    wrong, right = valkey.call("LLEN", "text"), valkey.call("ECHO", "fine")
    with pytest.raises(ValkeyRefused) as refused:
        await wrong
    assert refused.value.detail.startswith("WRONGTYPE")
    assert await right == b"fine"
    assert valkey.is_up


async def test_a_script_costs_one_round_trip_and_survives_a_flush(valkey: Valkey) -> None:
    before = valkey.round_trips
    assert await valkey.evalsha(ECHO, ["key"], ["argument"]) == [b"key", b"argument", 7]
    assert valkey.round_trips - before == 1
    await valkey.call("SCRIPT", "FLUSH")
    before = valkey.round_trips
    assert await valkey.evalsha(ECHO, ["key"], ["again"]) == [b"key", b"again", 7]
    assert valkey.round_trips - before == 2
    before = valkey.round_trips
    assert await valkey.evalsha(ECHO, ["key"], ["third"]) == [b"key", b"third", 7]
    assert valkey.round_trips - before == 1


async def test_p53_a_frozen_server_costs_its_time_once_and_is_found_again(
    server: ValkeyServer, valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gateway.valkey")
    server.freeze()
    together = [valkey.call("PING") for _ in range(50)]
    begun = time.monotonic()
    outcomes = await asyncio.gather(*together, return_exceptions=True)
    assert all(isinstance(outcome, ValkeyDown) for outcome in outcomes)
    # The promise is 0.1 s; the slack is for a busy machine.
    assert time.monotonic() - begun < 0.6
    assert not valkey.is_up

    round_trips = valkey.round_trips
    spent = [await seconds_to_fail(valkey.call("PING")) for _ in range(1000)]
    assert sum(spent) < 0.6
    assert valkey.round_trips == round_trips

    server.thaw()
    await until(lambda: valkey.is_up)
    assert await valkey.call("ECHO", "back") == b"back"
    assert [record.msg for record in caplog.records] == ["valkey_down", "valkey_up"]


async def test_p53_a_paused_server_is_left_and_found_again(
    server: ValkeyServer, valkey: Valkey
) -> None:
    other = Valkey(server.url)
    await other.start()
    await other.call("CLIENT", "PAUSE", 1500, "ALL")
    assert await seconds_to_fail(valkey.call("GET", "key")) < 0.6
    assert await seconds_to_fail(valkey.call("GET", "key")) < 0.05
    await until(lambda: valkey.is_up)
    assert await valkey.call("GET", "key") is None
    await other.close()


async def test_p53_a_killed_server_is_found_again_without_a_restart(
    server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gateway.valkey")
    changes: list[bool] = []
    valkey = Valkey(server.url, on_change=changes.append)
    valkey.register(ECHO)
    await valkey.start()
    server.kill()
    await until(lambda: not valkey.is_up)
    assert await seconds_to_fail(valkey.call("PING")) < 0.3
    server.start()
    await until(lambda: valkey.is_up)
    before = valkey.round_trips
    assert await valkey.evalsha(ECHO, ["key"], ["new"]) == [b"key", b"new", 7]
    assert valkey.round_trips - before == 1
    assert changes == [True, False, True]
    assert [record.msg for record in caplog.records] == ["valkey_up", "valkey_down", "valkey_up"]
    await valkey.close()


async def test_a_server_that_is_absent_at_the_start_is_found_later(tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path)
    valkey = Valkey(server.url)
    await valkey.start()
    assert not valkey.is_up
    with server:
        await until(lambda: valkey.is_up)
        assert await valkey.call("PING") == b"PONG"
        await valkey.close()


async def test_a_late_loop_is_not_taken_for_a_late_server(valkey: Valkey) -> None:
    reply = valkey.call("ECHO", "in time")
    time.sleep(0.3)  # noqa: ASYNC251 - the loop is meant to be blocked past the deadline
    assert await reply == b"in time"
    assert valkey.is_up


async def test_password_and_database_of_the_url_are_used(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path, "--requirepass", "p@ss word") as server:
        url = f"redis://:p%40ss%20word@127.0.0.1:{server.port}/3"
        valkey = Valkey(url)
        await valkey.start()
        await valkey.call("SET", "here", "1")
        assert b"db=3" in await valkey.call("CLIENT", "INFO")
        assert b"name=coding-gateway" in await valkey.call("CLIENT", "INFO")
        await valkey.close()


async def test_a_wrong_password_is_reported_by_its_code_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ValkeyServer(tmp_path, "--requirepass", "right-password") as server:
        valkey = Valkey(f"redis://someone:wrong-password@127.0.0.1:{server.port}")
        await valkey.start()
        assert not valkey.is_up
        await valkey.close()
    assert [vars(record)["reason"] for record in caplog.records] == ["WRONGPASS"]
    assert "password" not in str(vars(caplog.records[0]))


async def test_after_close_calls_fail_at_once(server: ValkeyServer) -> None:
    valkey = Valkey(server.url)
    await valkey.start()
    server.freeze()
    pending = valkey.call("PING")
    await valkey.close()
    assert await seconds_to_fail(pending) < 0.3
    assert await seconds_to_fail(valkey.call("PING")) < 0.3
