"""Lines and items of batches: read one at a time, refused with their places."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.batches import short_form
from gateway.batches.checks import ItemChecks
from gateway.batches.input import InputRefusedError, items_of, items_of_lines
from gateway.errors import InvalidRequestError, ModelNotFoundError
from gateway.storage.batch_items_store import NewItem

CHAT = "/v1/chat/completions"


def resolve(name: str) -> object:
    if name.startswith("no"):
        raise ModelNotFoundError(f"the model {name!r} does not exist")
    return name


CHECKS = ItemChecks(resolve)


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}


def line(number: int, **fields: Any) -> bytes:
    whole = {"custom_id": f"i-{number}", "method": "POST", "url": CHAT, "body": chat(), **fields}
    return wire.dumps(whole)


async def cut(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read(data: bytes, size: int = 1 << 20) -> list[NewItem]:
    return [item async for item in items_of_lines(cut(data, size), CHECKS, CHAT)]


@given(st.integers(1, 400))
async def test_lines_are_the_same_however_they_are_cut(size: int) -> None:
    data = b"\n".join([line(0), b"", line(1), b"  \r", line(2)])
    items = await read(data, size)
    assert [(item.number, item.custom_id) for item in items] == [(0, "i-0"), (1, "i-1"), (2, "i-2")]


async def test_every_bad_line_is_named() -> None:
    data = b"\n".join(
        [
            line(0),
            b"{",
            line(0),
            line(3, url="/v1/other"),
            line(4, body=chat(model="none")),
            line(5, body=[]),
            line(6, custom_id=7),
        ]
    )
    with pytest.raises(InputRefusedError) as caught:
        await read(data)
    assert [(each["line"], each["code"], each["param"]) for each in caught.value.problems] == [
        (2, "invalid_json_line", None),
        (3, "duplicate_custom_id", "custom_id"),
        (4, "mismatched_endpoint", "url"),
        (5, "model_not_found", "body.model"),
        (6, "invalid_type", "body"),
        (7, "invalid_type", "custom_id"),
    ]


@pytest.mark.parametrize("data", [b"", b"\n \n"])
async def test_an_empty_file_is_refused(data: bytes) -> None:
    with pytest.raises(InputRefusedError) as caught:
        await read(data)
    assert caught.value.problems[0]["code"] == "empty_file"


async def test_items_share_a_prefix_when_their_prompts_begin_alike() -> None:
    system = {"role": "system", "content": "be brief"}
    user = [{"role": "user", "content": text} for text in "ab"]
    requests = [chat(messages=[system, each]) for each in user] + [chat()]
    items = [item async for item in items_of(requests, short_form.read_item, CHECKS, CHAT)]
    assert items[0].prefix == items[1].prefix != items[2].prefix
    assert [item.custom_id for item in items] == ["request-0", "request-1", "request-2"]


async def test_streaming_is_left_out_and_nothing_else() -> None:
    checked = CHECKS.check(CHAT, chat(stream=True, stream_options={}, seed=1), "")
    assert wire.loads(checked.body) == chat(seed=1)


@pytest.mark.parametrize(
    ("endpoint", "body", "param"),
    [
        ("/v1/responses", {"model": "m", "input": "x", "previous_response_id": "r"}, "x.previous_"),
        ("/v1/responses", {"model": "m"}, "x.input"),
        ("/v1/messages", {"model": "m", "messages": []}, "x.messages"),
        ("/v1/messages", {"model": "m", "messages": [{}], "max_tokens": 0}, "x.max_tokens"),
        ("/v1/embeddings", {"model": "m", "input": "x"}, "x.url"),
        (CHAT, {"messages": []}, "x.model"),
        (CHAT, "text", "x"),
    ],
)
def test_refusals_name_the_path(endpoint: str, body: Any, param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        CHECKS.check(endpoint, body, "x")
    assert (caught.value.param or "").startswith(param)
