"""What counts in a digest, and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.errors import InvalidRequestError
from gateway.protocols.shared.digests import BlockDigests, chained, unmarked
from gateway.turns.digests import seen_digest, setting_digest
from gateway.turns.history import read_history, turn_key
from gateway.turns.turn import Link, Turn, dump_turn, load_turn
from gateway.wire import JSONObject

MARK = {"type": "ephemeral"}


def said(*blocks: JSONObject) -> JSONObject:
    return {"role": "assistant", "content": list(blocks)}


def asked(text: str) -> JSONObject:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def test_cache_marks_are_no_content() -> None:
    inner = {"type": "text", "text": "x"}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [inner]}
    marked = {**result, "content": [{**inner, "cache_control": MARK}], "cache_control": MARK}
    assert unmarked(marked) == result
    assert BlockDigests().of_message({"role": "user", "content": [marked]}) == (
        BlockDigests().of_message({"role": "user", "content": [result]})
    )
    tools: list[JSONObject] = [{"name": "a"}]
    assert setting_digest({"tools": tools}, BlockDigests()) == setting_digest(
        {"tools": [{"name": "a", "cache_control": MARK}]}, BlockDigests()
    )


def test_tools_and_system_text_are_content() -> None:
    bodies: list[JSONObject] = [
        {},
        {"tools": [{"name": "a"}]},
        {"tools": [{"name": "b"}]},
        {"system": [{"type": "text", "text": "a"}]},
        {"system": "a"},
    ]
    assert len({setting_digest(body, BlockDigests()) for body in bodies}) == len(bodies)


def test_parts_do_not_run_together() -> None:
    assert chained(b"ab", b"c") != chained(b"a", b"bc")
    assert chained(b"") != chained()


@pytest.mark.parametrize("shown", ["a b\nc", " a  b c ", "ab c"])
def test_white_space_of_an_answer_does_not_count(shown: str) -> None:
    block = {"type": "text", "text": shown}
    assert seen_digest([block]) == seen_digest([{"type": "text", "text": "a b c"}])


def test_calls_count_by_id_name_and_value() -> None:
    call: JSONObject = {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1, "b": [2.0]}}
    same = {**call, "input": {"b": [2], "a": 1.0}}
    assert seen_digest([call]) == seen_digest([same])
    others = [
        {**call, "id": "2"},
        {**call, "name": "g"},
        {**call, "input": {"a": 2, "b": [2]}},
        {**call, "input": {"a": True, "b": [2]}},
    ]
    assert len({seen_digest([each]) for each in [call, *others]}) == 5


def test_arguments_nested_without_end_are_the_clients_fault() -> None:
    nested: list[object] = []
    for _ in range(5_000):
        nested = [nested]
    call: JSONObject = {"type": "tool_use", "id": "1", "name": "f", "input": {"a": nested}}
    with pytest.raises(InvalidRequestError):
        read_history({"messages": [said(call)]})


def test_a_text_turn_goes_by_the_conversation_before_it() -> None:
    first = read_history({"messages": [asked("a"), said({"type": "text", "text": "x"})]})
    second = read_history({"messages": [asked("b"), said({"type": "text", "text": "x"})]})
    assert first.places[0].key != second.places[0].key
    trimmed = read_history({"messages": [asked("a"), said({"type": "text", "text": " x\n"})]})
    assert trimmed.places[0].key == first.places[0].key


def test_a_tool_turn_goes_by_its_first_call_wherever_it_stands() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    first = read_history({"messages": [asked("a"), said(call)]})
    second = read_history({"messages": [asked("b"), said({"type": "text", "text": "x"}, call)]})
    assert first.places[0].key == second.places[0].key


def test_the_key_of_an_answer_is_the_key_it_will_be_looked_up_by() -> None:
    messages = [asked("a"), said({"type": "text", "text": "x"}), asked("b")]
    history = read_history({"messages": messages})
    content: list[JSONObject] = [{"type": "text", "text": "the answer"}]
    key = turn_key(content, history.end, seen_digest(content))
    later = read_history({"messages": [*messages, said(*content), asked("c")]})
    assert later.places[1].key == key
    assert later.client(later.places[1]) == history.client_end


def test_turns_are_compared_by_the_system_text_that_is_sent() -> None:
    messages = [asked("a"), said({"type": "text", "text": "x"}), asked("b")]
    rules = [{"type": "text", "text": "Rules."}]
    sent = {"system": rules, "messages": messages}
    clocks = [
        read_history({"system": [{"type": "text", "text": f"Rules.\n{n}"}], "messages": messages})
        for n in range(2)
    ]
    assert clocks[0].client_end != clocks[1].client_end
    assert {each.settled(sent).client_end for each in clocks} == {read_history(sent).client_end}


@given(st.lists(st.sampled_from(["u", "a", "s"]), max_size=12))
def test_common_beginnings_have_common_digests(roles: list[str]) -> None:
    kinds = {"u": "user", "a": "assistant", "s": "system"}
    messages = [
        {"role": kinds[role], "content": [{"type": "text", "text": f"{number}"}]}
        for number, role in enumerate(roles)
    ]
    whole = read_history({"messages": messages})
    for length in range(len(messages)):
        part = read_history({"messages": messages[:length]})
        assert whole.digests[:length] == part.digests
        assert whole.places[: len(part.places)] == part.places


def test_a_turn_comes_back_from_its_stored_form() -> None:
    raw = '{"a":  1.0, "big": 123456789012345678901234567890}'
    turn = Turn(
        model="m",
        seen=b"s" * 16,
        client=b"c" * 16,
        prefix=b"p" * 16,
        stored_at=7,
        content=[
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "tool_use", "id": "1", "name": "f", "input": wire.Fragment(raw)},
        ],
        after=Link(3, b"m" * 16),
        added=[{"type": "text", "text": "Do it."}],
        thinking={"type": "adaptive"},
        effort="high",
    )
    read = load_turn(dump_turn(turn))
    assert read is not None
    assert wire.dumps(read.content) == wire.dumps(turn.content)
    assert raw.encode() in wire.dumps(read.content)
    assert read.mark == turn.mark
    assert (read.after, read.added, read.thinking) == (turn.after, turn.added, turn.thinking)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"format": 99}', b'{"format": 1}'])
def test_a_turn_in_another_form_is_no_turn(data: bytes) -> None:
    assert load_turn(data) is None
