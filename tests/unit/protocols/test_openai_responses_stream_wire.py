"""Responses streams on the wire: any split, the SDK types, the official client."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway import wire
from gateway.errors import UpstreamCutError
from gateway.protocols.openai_responses_stream import ResponsesStream
from gateway.protocols.shared.sse import SSEFramer
from tests.support.messages_stream import (
    assemble,
    end,
    event,
    openai_sdk,
    start,
    text,
    thinking,
    tool,
)
from tests.support.responses_scripts import RICH, RICH_FRAME, RICH_FRAME_UNSEALED, SCRIPTS
from tests.support.responses_stream import (
    SEAL,
    events,
    final,
    joined_deltas,
    stream_out,
    whole,
)

STRICT_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def test_every_event_has_the_shape_of_the_sdk_type() -> None:
    for script in (RICH, start() + text(0, "x") + end("max_tokens"), start() + end("refusal")):
        out, _ = stream_out(script, RICH_FRAME)
        for each in events(out):
            STRICT_EVENT.validate_python(each)


def test_line_separators_are_escaped() -> None:
    out, _ = stream_out(RICH, RICH_FRAME)
    assert "\u2028".encode() not in out
    assert final(out)["output"][-1]["content"][0]["text"] == "Done\u2028.\n"


def test_halves_of_characters_are_joined_or_shown_as_unreadable() -> None:
    out, _ = stream_out(
        b"".join(
            [
                start(),
                event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
                _raw_text(b"a\\ud83d"),
                _raw_text(b"\\ude00b"),
                _raw_text(b"c\\ud83d"),
                event("content_block_stop", index=0),
                end(),
            ]
        )
    )
    assert final(out)["output"][0]["content"][0]["text"] == "a😀bc\ufffd"


def _raw_text(escaped: bytes) -> bytes:
    return (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"' + escaped + b'"}}\n\n'
    )


@given(st.lists(st.integers(1, len(RICH) - 1), max_size=12))
@settings(max_examples=60, deadline=None)
def test_p29_every_split_gives_the_same_bytes(cuts: list[int]) -> None:
    whole_out, _ = stream_out(RICH, RICH_FRAME_UNSEALED)
    framer, stream = SSEFramer(), ResponsesStream(RICH_FRAME_UNSEALED)
    edges = [0, *sorted(set(cuts)), len(RICH)]
    out = b"".join(stream.feed(framer.feed(RICH[one:other])) for one, other in pairwise(edges))
    assert out == whole_out


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_splitting_deltas_differently_means_the_same(data: st.DataObject) -> None:
    """Texts cut at any place give the same items and the same joined deltas."""
    words = "Say 🙂 日本\n\u2028 end"
    arguments = wire.dumps_text({"path": words, "n": [1, 2]})

    def pieces(value: str) -> list[str]:
        cuts = sorted(data.draw(st.sets(st.integers(1, len(value) - 1), max_size=5)))
        edges = [0, *cuts, len(value)]
        return [value[one:other] for one, other in pairwise(edges)]

    script = (
        start()
        + thinking(0, *pieces(words))
        + text(1, *pieces(words))
        + tool(2, "read_file", *pieces(arguments))
        + tool(3, "apply_patch", *pieces(wire.dumps_text({"input": words})))
        + end("tool_use")
    )
    out, _ = stream_out(script, RICH_FRAME_UNSEALED)
    output = final(out)["output"]
    assert output[0]["summary"][0]["text"] == words
    assert output[1]["content"][0]["text"] == words
    assert output[2]["arguments"] == arguments
    assert output[3]["input"] == words
    assert sorted(joined_deltas(out).values()) == sorted([words, words, words, arguments])


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_streamed_and_whole_answers_agree(script: bytes) -> None:
    out, stream = stream_out(script, RICH_FRAME)
    answered = whole(script, RICH_FRAME)
    assert _comparable(final(out)) == _comparable(answered.response)
    assert _comparable(stream.response) == _comparable(answered.response)
    assert _opened(stream.items) == _opened(answered.items)
    assert stream.message["content"] == assemble(script).message["content"]


def _comparable(response: dict[str, Any]) -> dict[str, Any]:
    """A Response without what may differ: the ciphertexts, and how arguments are spaced."""
    response = wire.loads(wire.dumps(response))
    for item in response["output"]:
        item.pop("encrypted_content", None)
        if item["type"] == "message":
            item.pop("status")
        if "arguments" in item:
            try:
                item["arguments"] = wire.loads(item["arguments"])
            except wire.JSONDecodeError:
                item["arguments"] = {"INVALID_JSON": item["arguments"]}
    return response


def _opened(items: list[dict[str, Any]]) -> list[Any]:
    return [SEAL.open(item["encrypted_content"]) for item in items if "encrypted_content" in item]


@pytest.mark.parametrize("read_size", [0, 7])
async def test_the_official_client_accumulates_the_stream(read_size: int) -> None:
    out, _ = stream_out(RICH, RICH_FRAME)
    async with (
        openai_sdk(out, read_size=read_size) as client,
        client.responses.stream(model="gpt-5", input="x") as stream,
    ):
        seen = [each async for each in stream]
        response = await stream.get_final_response()
    assert [each.type for each in seen][-1] == "response.completed"
    assert response.output_text == "Reading the file 🙂…at onceDone\u2028.\n"
    assert [item.type for item in response.output][:3] == ["reasoning", "message", "function_call"]
    assert response.usage is not None
    assert response.usage.input_tokens_details.cached_tokens == 7
    texts = [each.snapshot for each in seen if each.type == "response.output_text.delta"]
    assert texts[1] == "Reading the file 🙂…"


async def test_the_official_client_gets_cut_and_failed_answers_as_events() -> None:
    cut, _ = stream_out(SCRIPTS["cut call"], RICH_FRAME)
    failed, stream = stream_out(start() + text(0, "a"), RICH_FRAME)
    failed += stream.error(UpstreamCutError("cut"))
    for body, last in ((cut, "response.incomplete"), (failed, "response.failed")):
        async with (
            openai_sdk(body) as client,
            client.responses.stream(model="gpt-5", input="x") as sdk_stream,
        ):
            seen = [each async for each in sdk_stream]
        assert seen[-1].type == last
    assert [each.type for each in seen][-2] == "error"


async def test_the_official_client_reads_the_whole_answer() -> None:
    body = wire.dumps(whole(RICH, RICH_FRAME).response)
    Response.model_validate(wire.loads(body), strict=False)
    async with openai_sdk(body) as client:
        response = await client.responses.create(model="gpt-5", input="x")
    assert response.output_text.startswith("Reading")
    assert response.status == "completed"
