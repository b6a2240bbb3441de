"""Messages put together from their streams."""

from itertools import pairwise

import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.errors import UpstreamCutError
from gateway.protocols.shared.assemble import MessageAssembler
from gateway.protocols.shared.sse import SSEFramer
from tests.support.messages_stream import (
    assemble,
    block,
    delta,
    end,
    event,
    start,
    text,
    thinking,
    tool,
)


def test_every_block_is_collected_in_order() -> None:
    script = start() + thinking(0, "a", "b") + text(1, "c", "d") + tool(2, "t", '{"x"', ":1}")
    assembler = assemble(event("ping") + script + event("new") + end("tool_use"))
    assert assembler.meter.completed
    assert assembler.message["content"] == [
        {"type": "thinking", "thinking": "ab", "signature": "c2ln"},
        {"type": "text", "text": "cd"},
        {"type": "tool_use", "id": "toolu_2", "name": "t", "input": {"x": 1}},
    ]
    Message.model_validate(assembler.message)


def test_ending_and_usage_are_those_of_the_last_event() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "No."}
    message = assemble(
        start(service_tier="standard") + end("refusal", stop_details=details)
    ).message
    assert (message["stop_reason"], message["stop_details"]) == ("refusal", details)
    assert message["usage"] == {
        "input_tokens": 10,
        "output_tokens": 20,
        "service_tier": "standard",
    }


def test_unknown_fields_and_blocks_are_kept() -> None:
    odd = block(0, {"type": "hologram", "size": 3}, delta(0, "hologram_delta", light=1))
    compacted = block(
        1,
        {"type": "compaction", "content": None},
        delta(1, "compaction_delta", content="Summary", encrypted_content=None),
    )
    message = assemble(start() + odd + compacted + end()).message
    assert message["content"] == [
        {"type": "hologram", "size": 3},
        {"type": "compaction", "content": "Summary"},
    ]


def test_citations_and_server_tools_are_kept_for_the_next_turn() -> None:
    citation = {"type": "char_location", "cited_text": "x"}
    search = block(
        0,
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        delta(0, "input_json_delta", partial_json='{"query":"q"}'),
    )
    result = block(1, {"type": "web_search_tool_result", "content": [{"url": "https://a"}]})
    cited = block(2, {"type": "text", "text": ""}, delta(2, "citations_delta", citation=citation))
    contents = assemble(start() + search + result + cited + end()).message["content"]
    assert contents[0]["input"] == {"query": "q"}
    assert contents[1] == {"type": "web_search_tool_result", "content": [{"url": "https://a"}]}
    assert contents[2]["citations"] == [citation]


def test_a_whole_call_before_the_limit_is_kept() -> None:
    script = tool(0, "a", '{"x":1}') + tool(1, "b") + tool(2, "c", '{"y"')
    contents = assemble(start() + script + end("max_tokens")).message["content"]
    assert [(each["name"], each["input"]) for each in contents] == [("a", {"x": 1}), ("b", {})]


def test_a_call_whose_block_never_ended_is_dropped() -> None:
    opened = event(
        "content_block_start",
        index=0,
        content_block={"type": "tool_use", "id": "toolu_0", "name": "t", "input": {}},
    )
    partial = delta(0, "input_json_delta", partial_json='{"x": 1')
    assembler = assemble(start() + opened + partial)
    assert assembler.message["content"] == []
    assert not assembler.meter.completed


@pytest.mark.parametrize("raw", ['{"x": oops}', "[1]", '"x"'])
def test_arguments_that_are_no_object_are_marked_as_invalid(raw: str) -> None:
    contents = assemble(start() + tool(0, "t", raw) + end("tool_use")).message["content"]
    assert contents[0]["input"] == {"INVALID_JSON": raw}


def test_an_error_event_is_a_failure() -> None:
    overloaded = {"type": "overloaded_error", "message": "Overloaded"}
    assembler = assemble(start() + text(0, "a") + event("error", error=overloaded) + end())
    assert assembler.failure is not None
    assert assembler.failure.code == "overloaded"
    assert not assembler.meter.completed


def test_an_end_without_a_reason_is_a_cut() -> None:
    assert isinstance(assemble(start() + text(0, "a") + end(None)).failure, UpstreamCutError)


@pytest.mark.parametrize(
    "broken",
    [
        b"event: message_start\ndata: {\n\n",
        delta(7, "text_delta", text="x"),
        event("message_delta"),
    ],
)
def test_an_unreadable_event_is_a_failure(broken: bytes) -> None:
    assembler = assemble(broken + start() + broken + end())
    assert assembler.failure is not None
    assert assembler.failure.code == "upstream_error"


@given(cuts=st.lists(st.integers(0, 2000)), words=st.lists(st.text(), max_size=4))
def test_splits_do_not_matter(cuts: list[int], words: list[str]) -> None:
    raw = wire.dumps({"words": words}).decode()
    script = start() + text(0, *words) + tool(1, "t", raw[:4], raw[4:]) + end("tool_use")
    framer, assembler = SSEFramer(), MessageAssembler()
    places = [0, *sorted(min(cut, len(script)) for cut in cuts), len(script)]
    for first, last in pairwise(places):
        assembler.feed(framer.feed(script[first:last]))
    assert assembler.message == assemble(script).message
    assert assembler.message["content"][1]["input"] == {"words": words}
