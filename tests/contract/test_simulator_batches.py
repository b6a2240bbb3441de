"""The simulator's Message Batches as the official anthropic package sees them, over HTTP."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import orjson
import pytest
import pytest_asyncio

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """A simulator process of this module, whose batches end as soon as they are answered."""
    command = [sys.executable, "-m", "simulator", "--batch-seconds", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield orjson.loads(process.stdout.readline())["base_url"]
        process.terminate()
        process.wait(timeout=10)


@pytest_asyncio.fixture
async def sdk(base_url: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="test", base_url=base_url, max_retries=0) as client:
        yield client
        await control(base_url, "POST", "reset")


async def control(base_url: str, method: str, path: str, body: Any = None) -> Any:
    content = None if body is None else orjson.dumps(body)
    async with httpx2.AsyncClient(base_url=base_url) as http:
        response = await http.request(method, f"/_sim/{path}", content=content)
        assert response.status_code == 200, response.text
        return response.json()


def request(custom_id: str, text: str = "hello", **params: Any) -> dict[str, Any]:
    return {
        "custom_id": custom_id,
        "params": {
            "model": "claude-sonnet-5-5",
            "max_tokens": 1000,
            "messages": [{"role": "user", "content": text}],
            **params,
        },
    }


async def ended(client: Any, batch_id: str) -> Any:
    """The batch once it has ended, which takes as long as its answers do."""
    async with asyncio.timeout(20):
        while True:
            batch = await client.messages.batches.retrieve(batch_id)
            if batch.processing_status == "ended":
                return batch


async def results(client: Any, batch_id: str) -> dict[str, Any]:
    lines = await client.messages.batches.results(batch_id)
    return {line.custom_id: line.result async for line in lines}


async def test_a_batch_goes_from_creation_to_results(sdk: Any) -> None:
    requests = [request(f"id_{number}", f"question {number}") for number in range(20)]
    made = await sdk.messages.batches.create(requests=requests)
    assert made.processing_status == "in_progress"
    assert made.request_counts.processing == 20
    assert made.results_url is None
    assert (made.expires_at - made.created_at).total_seconds() == 86_400
    batch = await ended(sdk, made.id)
    assert (batch.request_counts.succeeded, batch.request_counts.processing) == (20, 0)
    found = await results(sdk, made.id)
    assert set(found) == {f"id_{number}" for number in range(20)}
    assert list(found) != sorted(found)
    message = found["id_7"].message
    assert message.usage.service_tier == "batch"
    assert message.usage.output_tokens > 0
    live = await sdk.messages.create(**request("x", "question 7")["params"])
    assert [block.type for block in message.content] == [block.type for block in live.content]
    assert message.content[-1].text == live.content[-1].text


async def test_params_are_looked_at_late(sdk: Any) -> None:
    requests = [
        request("good"),
        request("unknown_field", nonsense=1),
        request("streamed", stream=True),
        request("nothing", max_tokens=0),
        request("fast", speed="fast"),
        request("no_model", model="claude-none"),
        request("marked", "[[sim:error overloaded_error]]"),
    ]
    made = await sdk.messages.batches.create(requests=requests)
    assert made.request_counts.errored == 0
    counts = (await ended(sdk, made.id)).request_counts
    assert (counts.succeeded, counts.errored) == (1, 6)
    found = await results(sdk, made.id)
    assert found["unknown_field"].error.error.type == "invalid_request_error"
    assert "nonsense" in found["unknown_field"].error.error.message
    assert found["no_model"].error.error.type == "not_found_error"
    assert found["marked"].error.error.type == "overloaded_error"
    assert found["good"].type == "succeeded"


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [request("same"), request("same")],
        [request("with space")],
        [request("")],
        [request("x" * 65)],
        [{"custom_id": "a"}],
        [{"custom_id": "a", "params": "text"}],
        [{**request("a"), "more": 1}],
    ],
)
async def test_ids_and_shape_are_checked_at_once(sdk: Any, requests: Any) -> None:
    with pytest.raises(anthropic.BadRequestError):
        await sdk.messages.batches.create(requests=requests)
    assert (await sdk.messages.batches.list()).data == []


async def test_more_than_100000_requests_are_refused(base_url: str) -> None:
    body = b'{"requests":[' + b",".join(b"{}" for _ in range(100_001)) + b"]}"
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    async with httpx2.AsyncClient(base_url=base_url, headers=headers) as http:
        response = await http.post("/v1/messages/batches", content=body)
    assert response.status_code == 400


async def test_more_than_256_mb_are_refused(base_url: str) -> None:
    head = (
        b"POST /v1/messages/batches HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\n"
        b"anthropic-version: 2023-06-01\r\ncontent-length: 268435457\r\n\r\n"
    )
    host, port = base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head)
    assert b" 413 " in await reader.readline()
    writer.close()


async def test_the_queue_has_a_limit(sdk: Any, base_url: str) -> None:
    await control(base_url, "PUT", "settings", {"batch_seconds": 900, "batch_queue_requests": 3})
    await sdk.messages.batches.create(requests=[request("a"), request("b")])
    with pytest.raises(anthropic.RateLimitError) as caught:
        await sdk.messages.batches.create(requests=[request("a"), request("b")])
    assert caught.value.response.headers["retry-after"] == "30"


async def test_lists_are_newest_first_and_paged_both_ways(sdk: Any) -> None:
    made = [(await sdk.messages.batches.create(requests=[request("a")])).id for _ in range(5)]
    newest_first = made[::-1]
    page = await sdk.messages.batches.list(limit=2)
    assert [batch.id for batch in page.data] == newest_first[:2]
    assert (page.has_more, page.first_id, page.last_id) == (True, *newest_first[:2])
    after = await sdk.messages.batches.list(limit=2, after_id=page.last_id)
    assert [batch.id for batch in after.data] == newest_first[2:4]
    before = await sdk.messages.batches.list(limit=1, before_id=after.first_id)
    assert [batch.id for batch in before.data] == newest_first[1:2]
    every = [batch.id async for batch in sdk.messages.batches.list(limit=2)]
    assert every == newest_first
    other = sdk.with_options(api_key="other")
    assert (await other.messages.batches.list()).data == []
    with pytest.raises(anthropic.NotFoundError):
        await other.messages.batches.retrieve(made[0])


async def test_a_cancel_ends_what_is_not_done(sdk: Any, base_url: str) -> None:
    times = {"batch_seconds": 900, "batch_first_share": 0.5, "batch_cancel_seconds": 900}
    await control(base_url, "PUT", "settings", times)
    made = await sdk.messages.batches.create(requests=[request(f"r{n}") for n in range(4)])
    with pytest.raises(anthropic.BadRequestError):
        await sdk.messages.batches.delete(made.id)
    canceling = await sdk.messages.batches.cancel(made.id)
    assert canceling.processing_status == "canceling"
    assert canceling.cancel_initiated_at is not None
    await control(base_url, "PUT", "settings", {"batch_cancel_seconds": 0})
    counts = (await ended(sdk, made.id)).request_counts
    assert (counts.succeeded, counts.canceled) == (2, 2)
    with pytest.raises(anthropic.BadRequestError, match="already ended"):
        await sdk.messages.batches.cancel(made.id)
    deleted = await sdk.messages.batches.delete(made.id)
    assert (deleted.id, deleted.type) == (made.id, "message_batch_deleted")
    with pytest.raises(anthropic.NotFoundError):
        await sdk.messages.batches.retrieve(made.id)


async def test_a_batch_expires(sdk: Any, base_url: str) -> None:
    await control(base_url, "PUT", "settings", {"batch_seconds": 900})
    made = await sdk.messages.batches.create(requests=[request("a")])
    await control(base_url, "PUT", "settings", {"batch_expiry_seconds": 0})
    assert (await ended(sdk, made.id)).request_counts.expired == 1
    assert (await results(sdk, made.id))["a"].type == "expired"


async def test_results_are_there_only_when_the_batch_has_ended(sdk: Any, base_url: str) -> None:
    await control(base_url, "PUT", "settings", {"batch_seconds": 900})
    made = await sdk.messages.batches.create(requests=[request("a")])
    with pytest.raises(anthropic.AnthropicError, match="results_url"):
        await sdk.messages.batches.results(made.id)
    path = f"/v1/messages/batches/{made.id}/results"
    with pytest.raises(anthropic.NotFoundError):
        await sdk.get(path, cast_to=httpx2.Response)


@pytest.mark.parametrize("reset", [False, True])
async def test_a_create_can_be_lost_on_the_way_back(sdk: Any, base_url: str, reset: bool) -> None:
    fault = {"on": "create", "done": True, "cut": True, "reset": reset}
    await control(base_url, "POST", "batch_faults", fault)
    with pytest.raises(anthropic.APIConnectionError):
        await sdk.messages.batches.create(requests=[request("lost")])
    (batch,) = (await sdk.messages.batches.list()).data
    await ended(sdk, batch.id)
    assert set(await results(sdk, batch.id)) == {"lost"}


async def test_a_create_can_fail_after_the_batch_was_made_or_before(
    sdk: Any, base_url: str
) -> None:
    error = {"type": "api_error"}
    faults = [
        {"on": "create", "error": error},
        {"on": "create", "done": True, "error": error},
    ]
    await control(base_url, "POST", "batch_faults", faults)
    for expected in (0, 1):
        with pytest.raises(anthropic.InternalServerError):
            await sdk.messages.batches.create(requests=[request("a")])
        assert len((await sdk.messages.batches.list()).data) == expected


async def test_limits_and_overload_can_come_from_every_call(sdk: Any, base_url: str) -> None:
    made = await sdk.messages.batches.create(requests=[request("a")])
    await ended(sdk, made.id)
    limited = {"type": "rate_limit_error", "retry_after": 7}
    calls = ("create", "get", "list", "cancel", "delete")
    faults = [{"on": call, "error": limited} for call in calls]
    overloaded = {"on": "results", "error": {"type": "overloaded_error"}}
    await control(base_url, "POST", "batch_faults", [*faults, overloaded])
    batches = sdk.messages.batches
    for call in (
        lambda: batches.create(requests=[request("a")]),
        lambda: batches.retrieve(made.id),
        batches.list,
        lambda: batches.cancel(made.id),
        lambda: batches.delete(made.id),
    ):
        with pytest.raises(anthropic.RateLimitError) as caught:
            await call()
        assert caught.value.response.headers["retry-after"] == "7"
    with pytest.raises(anthropic.InternalServerError) as overload:
        await batches.results(made.id)
    assert overload.value.status_code == 529
    assert (await control(base_url, "GET", "state"))["batch_faults_waiting"] == 0


async def test_results_can_be_cut_and_read_again(sdk: Any, base_url: str) -> None:
    made = await sdk.messages.batches.create(requests=[request(f"r{n}") for n in range(9)])
    await ended(sdk, made.id)
    await control(base_url, "POST", "batch_faults", {"on": "results", "cut_lines": 4})
    seen: list[str] = []

    async def read() -> None:
        async for line in await sdk.messages.batches.results(made.id):
            seen.append(line.custom_id)  # noqa: PERF401 - what came before the cut is kept

    with pytest.raises((anthropic.APIConnectionError, httpx2.HTTPError)):
        await read()
    again = list(await results(sdk, made.id))
    assert 0 < len(seen) <= 4  # the package may lose what came just before the cut
    assert again[: len(seen)] == seen
    assert len(again) == 9
    await control(base_url, "PUT", "settings", {"batch_results_shuffled": True})
    shuffled = [list(await results(sdk, made.id)) for _ in range(3)]
    assert any(order != again for order in shuffled)


async def test_ways_that_do_not_exist_are_told(base_url: str) -> None:
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    async with httpx2.AsyncClient(base_url=base_url, headers=headers) as http:
        assert (await http.put("/v1/messages/batches")).status_code == 405
        assert (await http.get("/v1/messages/batches/x/nothing")).status_code == 404
        del http.headers["anthropic-version"]
        assert (await http.get("/v1/messages/batches")).status_code == 400
        del http.headers["x-api-key"]
        assert (await http.get("/v1/messages/batches")).status_code == 401
