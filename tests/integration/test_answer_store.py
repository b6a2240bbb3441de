"""Kept answers on a real Valkey that is asked by several processes, frozen and killed."""

import asyncio
import time
from collections.abc import Callable

import pytest

from gateway.protocols.shared.sse import SSEFramer
from gateway.response_cache.answer import Events
from gateway.response_cache.cache import Asking, Found, ResponseCache
from gateway.response_cache.question import Question
from gateway.response_cache.store import AnswerStore
from gateway.security.sealing import Sealer
from gateway.storage.valkey import Valkey
from tests.integration.valkey_server import ValkeyServer
from tests.support.messages_stream import event, start, text

SEALER = Sealer([b"k" * 32])
QUESTION = Question("a", "0" * 64, ttl_seconds=60)
ANSWER: Events = SSEFramer().feed(
    b"".join(
        [
            start(),
            text(0, "Hello, ", "wörld"),
            event("message_delta", delta={"stop_reason": "end_turn"}),
            event("message_stop"),
        ]
    )
)
Make = Callable[..., AnswerStore]


@pytest.fixture
def make(valkey: Valkey) -> Make:
    """Another process: a store that shares nothing but the server."""

    def made(wait_seconds: float = 20.0, sealer: Sealer = SEALER) -> AnswerStore:
        return AnswerStore(valkey, sealer, wait_seconds=wait_seconds)

    return made


def asking(found: Found) -> Asking:
    assert found.answer is None
    assert found.asking is not None
    return found.asking


def answer(asked: Asking) -> None:
    asked.feed(list(ANSWER))
    asked.answered()
    asked.ended()


async def test_an_answer_is_found_by_another_process_in_one_round_trip(
    make: Make, valkey: Valkey
) -> None:
    one, two = make(), make()
    await one.find(Question("a", "1" * 64, 60), "t")  # the server knows the script from now on
    before = valkey.round_trips
    assert await one.find(QUESTION, "one") is None
    assert valkey.round_trips == before + 1
    one.save(QUESTION, ANSWER)
    await valkey.call("PING")
    before = valkey.round_trips
    assert await two.find(QUESTION, "two") == ANSWER
    assert valkey.round_trips == before + 1


async def test_nothing_of_an_answer_can_be_read_in_valkey(make: Make, valkey: Valkey) -> None:
    make().save(QUESTION, ANSWER)
    (name,) = await valkey.call("KEYS", "*")
    stored = await valkey.call("GET", name)
    assert b"message_stop" not in stored
    assert 0 < await valkey.call("TTL", name) <= 60
    # Under another project, another key or with another secret it opens as nothing.
    other = Question("b", QUESTION.key, 60)
    await valkey.call("SET", name.replace(b"{a}", b"{b}"), stored)
    assert await make().find(other, "t") is None
    assert await make(sealer=Sealer([b"x" * 32])).find(QUESTION, "t") is None


async def test_one_process_asks_and_the_others_get_its_answer(make: Make) -> None:
    first, others = ResponseCache(make()), [ResponseCache(make()) for _ in range(3)]
    lead = asking(await first.find(QUESTION))
    waiting = [asyncio.ensure_future(each.find(QUESTION)) for each in others for _ in range(5)]
    await asyncio.sleep(0.1)
    assert not any(task.done() for task in waiting)
    answer(lead)
    found = await asyncio.gather(*waiting)
    assert all(each.answer is not None and each.answer.events == ANSWER for each in found)


async def test_when_it_fails_another_process_asks(make: Make) -> None:
    first, second = ResponseCache(make()), ResponseCache(make())
    lead = asking(await first.find(QUESTION))
    waiting = [asyncio.ensure_future(second.find(QUESTION)) for _ in range(3)]
    await asyncio.sleep(0.1)
    lead.ended()
    lead.ended()
    done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    (next_lead,) = done
    answer(asking(next_lead.result()))
    found = await asyncio.gather(*rest)
    assert all(each.answer is not None for each in found)


async def test_the_next_one_of_the_process_keeps_the_lock(make: Make) -> None:
    first, second = ResponseCache(make()), ResponseCache(make(0.3), wait_seconds=0.3)
    lead = asking(await first.find(QUESTION))
    waiting = asyncio.ensure_future(first.find(QUESTION))
    await asyncio.sleep(0)
    lead.ended()
    next_lead = asking(await waiting)
    elsewhere = asyncio.ensure_future(second.find(QUESTION))
    await asyncio.sleep(0.05)
    assert not elsewhere.done()
    answer(next_lead)
    assert (await elsewhere).answer is not None


async def test_an_answer_that_is_not_kept_lets_everybody_ask(make: Make) -> None:
    first, second = ResponseCache(make()), ResponseCache(make())
    lead = asking(await first.find(QUESTION))
    here = [asyncio.ensure_future(first.find(QUESTION)) for _ in range(3)]
    await asyncio.sleep(0)
    lead.changed()
    answer(lead)
    for each in await asyncio.gather(*here):
        asking(each)  # none of them waits for another
    asking(await second.find(QUESTION)).ended()


async def test_nobody_waits_long_for_a_process_that_died(make: Make) -> None:
    assert await make().find(QUESTION, "died") is None
    began = time.monotonic()
    assert await make(0.3).find(QUESTION, "t") is None
    assert time.monotonic() - began < 3


async def test_the_lock_ends_by_itself(make: Make, valkey: Valkey) -> None:
    assert await make(0.2).find(QUESTION, "died") is None
    (lock,) = await valkey.call("KEYS", "*:lock")
    assert 0 < await valkey.call("PTTL", lock) <= 200


async def test_only_its_holder_releases_a_lock(make: Make, valkey: Valkey) -> None:
    store = make()
    assert await store.find(QUESTION, "holder") is None
    store.release(QUESTION, "other")
    assert len(await valkey.call("KEYS", "*:lock")) == 1
    store.release(QUESTION, "holder")
    assert await valkey.call("KEYS", "*:lock") == []


async def test_one_who_is_cancelled_while_it_looks_leaves_no_lead_behind(
    make: Make, server: ValkeyServer
) -> None:
    cache = ResponseCache(make())
    server.freeze()
    try:
        looking = asyncio.ensure_future(cache.find(QUESTION))
        await asyncio.sleep(0)
        following = asyncio.ensure_future(cache.find(QUESTION))
        await asyncio.sleep(0)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        answer(asking(await following))
    finally:
        server.thaw()


async def test_valkey_that_is_killed_midway_takes_nothing_with_it(
    make: Make, server: ValkeyServer, valkey: Valkey
) -> None:
    cache = ResponseCache(make())
    lead = asking(await cache.find(QUESTION))
    waiting = asyncio.ensure_future(cache.find(QUESTION))
    await asyncio.sleep(0)
    server.kill()
    answer(lead)
    found = (await waiting).answer
    assert found is not None
    assert found.events == ANSWER  # from the one who asked, in this process
    began = time.monotonic()
    asking(await cache.find(QUESTION)).ended()
    assert time.monotonic() - began < 1
    server.start()
    deadline = time.monotonic() + 15
    while not valkey.is_up:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    answer(asking(await cache.find(QUESTION)))
    assert (await cache.find(QUESTION)).answer is not None
