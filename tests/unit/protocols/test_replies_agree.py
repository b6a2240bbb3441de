"""A streamed answer and a whole one say the same."""

from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.structs import replace
from tests.support.messages_stream import (
    PLAN_WITH_USAGE,
    arguments,
    block,
    chunks,
    content,
    deltas,
    end,
    finish_reasons,
    start,
    text,
    thinking,
    tool,
    translate,
    whole_answer,
)

words = st.lists(st.text(alphabet="ab \n日🙂", max_size=4), max_size=3)
blocks = st.lists(
    st.one_of(
        st.tuples(st.just("text"), words),
        st.tuples(st.just("thinking"), words),
        st.tuples(st.just("redacted"), words),
        st.tuples(st.just("tool"), words),
        st.tuples(st.just("wrapped"), words),
        st.tuples(st.just("search"), words),
    ),
    max_size=6,
)


def written(kind: str, index: int, parts: list[str]) -> bytes:
    if kind == "text":
        return text(index, *parts)
    if kind == "thinking":
        return thinking(index, *parts)
    if kind == "redacted":
        return block(index, {"type": "redacted_thinking", "data": "".join(parts)})
    if kind == "search":
        return block(index, {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search"})
    if kind == "wrapped":
        return tool(index, "wrapped", '{"value":', wire.dumps_text(parts), "}")
    return tool(index, "plain", *([wire.dumps_text({"words": parts})] if parts else []))


@given(script=blocks, stop=st.sampled_from(["end_turn", "tool_use", "stop_sequence"]))
def test_streamed_and_whole_answers_agree(script: list[tuple[str, list[str]]], stop: str) -> None:
    plan = replace(PLAN_WITH_USAGE, wrapped_tools=frozenset({"wrapped"}))
    stream = start(cache_read_input_tokens=5)
    stream += b"".join(written(kind, at, parts) for at, (kind, parts) in enumerate(script))
    stream += end(stop)

    out, translator = translate(stream, plan)
    assert translator.failure is None
    answer = whole_answer(stream, plan)
    message = answer["choices"][0]["message"]

    assert content(out) == (message["content"] or "")
    calls = message.get("tool_calls", [])
    assert list(arguments(out).values()) == [call["function"]["arguments"] for call in calls]
    seen = deltas(out)
    assert "".join(d.get("reasoning", "") for d in seen) == message.get("reasoning", "")
    details = [detail for d in seen for detail in d.get("reasoning_details", ())]
    assert details == message.get("reasoning_details", [])
    assert finish_reasons(out) == [answer["choices"][0]["finish_reason"]]
    assert chunks(out)[-1]["usage"] == answer["usage"]
    assert chunks(out)[0]["id"] == answer["id"]
