"""Identical questions that come at once, to two API processes."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.contract.harness.gateway import Gateway
from tests.contract.harness.kept_answers import ask, new_mark
from tests.contract.harness.simulator import Simulator


@pytest.fixture
def mark() -> str:
    """A word that makes a question new, and by which it is found at the upstream."""
    return new_mark()


@pytest.fixture
async def http_async(gateway: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    async with httpx2.AsyncClient(base_url=gateway.root_url, headers=headers, timeout=60) as http:
        yield http


async def test_identical_requests_at_once_are_asked_once(
    http_async: httpx2.AsyncClient, simulator: Simulator, mark: str
) -> None:
    text = f"{mark} [[sim:head 0.5]][[sim:text one for all]]"

    async def one(number: int) -> tuple[str, str]:
        body = ask(text, stream=number % 2 == 0)
        answer = await http_async.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200
        return answer.headers["x-cache"], answer.text

    answers = await asyncio.gather(*(one(number) for number in range(24)))
    assert sorted(cache for cache, _ in answers) == ["HIT"] * 23 + ["MISS"]
    assert len(await asyncio.to_thread(simulator.records_with, mark)) == 1


async def test_when_the_first_client_leaves_the_next_one_asks(
    http_async: httpx2.AsyncClient, simulator: Simulator, mark: str
) -> None:
    body = ask(f"{mark} [[sim:head 1.5]][[sim:text seen by all]]")

    async def leaves() -> None:
        with pytest.raises(httpx2.ReadTimeout):
            await http_async.post("/v1/chat/completions", json=body, timeout=0.7)

    async def stays() -> str:
        answer = await http_async.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200
        return str(answer.json()["choices"][0]["message"]["content"])

    first = asyncio.ensure_future(leaves())
    await asyncio.sleep(0.2)
    others = [asyncio.ensure_future(stays()) for _ in range(8)]
    await first
    assert await asyncio.gather(*others) == ["seen by all"] * 8
    records = await asyncio.to_thread(simulator.records_with, mark)
    assert [record["client_left"] for record in records] == [True, False]


async def test_one_who_leaves_while_waiting_disturbs_nobody(
    http_async: httpx2.AsyncClient, simulator: Simulator, mark: str
) -> None:
    body = ask(f"{mark} [[sim:head 1.2]][[sim:text seen by all]]")

    async def one(seconds: float) -> int:
        try:
            answer = await http_async.post("/v1/chat/completions", json=body, timeout=seconds)
        except httpx2.ReadTimeout:
            return 0
        return int(answer.status_code)

    first = asyncio.ensure_future(one(30))
    await asyncio.sleep(0.2)
    answers = await asyncio.gather(first, *(one(0.4 if each % 2 else 30) for each in range(8)))
    assert sorted(answers) == [0] * 4 + [200] * 5
    assert len(await asyncio.to_thread(simulator.records_with, mark)) == 1


async def test_answers_that_may_not_be_kept_are_asked_for_at_once(
    http_async: httpx2.AsyncClient, simulator: Simulator, mark: str
) -> None:
    """Nobody stands in a queue of answers that are of no use to the next one."""
    body = ask(f"{mark} [[sim:head 0.5]][[sim:text x]][[sim:stop max_tokens]]")
    loop = asyncio.get_running_loop()
    began = loop.time()
    answers = await asyncio.gather(
        *(http_async.post("/v1/chat/completions", json=body) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert loop.time() - began < 3.5  # eight in a row take four seconds
    assert len(await asyncio.to_thread(simulator.records_with, mark)) == 8
