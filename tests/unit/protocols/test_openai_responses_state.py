"""What Responses requests take from earlier ones, and leave for later ones."""

from typing import Any

import pytest

from gateway.errors import InvalidRequestError
from gateway.protocols.openai_responses import (
    Recalled,
    own_items,
    state_wanted,
    stored_input,
    translate,
)
from gateway.protocols.openai_responses_plan import item_id, response_of_item
from tests.support.responses_stream import request, translated


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def user(value: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": value}


def said(value: str, **fields: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": value, "annotations": []}
    return {"type": "message", "role": "assistant", "content": [part], "id": "msg_1", **fields}


def output(call_id: Any, value: Any = "ok", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": value, **fields}


def test_references_are_looked_up() -> None:
    stored = {"msg_1": said("from the store"), "loop": {"id": "loop"}}
    recalled = Recalled(lookup=stored.get)
    items = [user("hi"), {"type": "item_reference", "id": "msg_1"}, user("x")]
    made = translated(recalled, input=items).draft.body["messages"]
    assert made[1]["content"] == [text("from the store")]
    with pytest.raises(InvalidRequestError) as caught:
        translated(recalled, input=[{"id": "loop"}])
    assert caught.value.param == "input[0].id"


def test_earlier_items_come_first_and_earlier_instructions_do_not() -> None:
    recalled = Recalled([user("first"), said("one")])
    made = translated(recalled, input="second", instructions="Now", previous_response_id="resp_1")
    assert made.draft.body["system"] == [text("Now")]
    assert [message["content"][0]["text"] for message in made.draft.body["messages"]] == [
        "first",
        "one",
        "second",
    ]
    assert made.plan.previous_response_id == "resp_1"
    assert made.plan.echo["previous_response_id"] == "resp_1"


def test_with_earlier_items_the_input_may_be_empty() -> None:
    recalled = Recalled([user("first"), said("one")])
    empty: tuple[Any, ...] = ([], None)
    for items in empty:
        assert len(translated(recalled, input=items).draft.body["messages"]) == 2


def test_what_a_request_needs_of_the_store() -> None:
    wanted = state_wanted(
        request(
            previous_response_id="resp_1",
            input=[user("a"), {"type": "item_reference", "id": "rs_1"}, {"id": "msg_2"}, {"id": 4}],
        )
    )
    assert wanted.previous_response_id == "resp_1"
    assert wanted.references == ["rs_1", "msg_2"]
    assert state_wanted({"input": 5}).references == []
    with pytest.raises(InvalidRequestError) as caught:
        state_wanted({"previous_response_id": 5})
    assert caught.value.param == "previous_response_id"


def test_stored_input_has_ids_types_and_no_references() -> None:
    items = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"id": "msg_7"},
        output("c", id=None),
    ]
    kept = stored_input(request(input=items), "resp_ab", {"msg_7": said("x", id="msg_7")}.get)
    assert kept == [
        {
            "id": "in_ab_0",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "a"}],
        },
        {
            "id": "in_ab_1",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "b"}],
        },
        said("x", id="msg_7"),
        {**output("c"), "id": "in_ab_3"},
    ]
    assert translate(request(input=kept)).draft.body["messages"]


def test_item_ids_lead_to_their_response() -> None:
    for prefix in ("rs", "msg", "fc", "ctc", "in"):
        assert response_of_item(item_id("resp_a_b", prefix, 12)) == "resp_a_b"
    for foreign in ("", "msg", "msg_1", "rs_abc", "x_a_1", "msg_a_b", "fc__1"):
        assert response_of_item(foreign) is None


def test_own_items_of_a_string() -> None:
    assert own_items({"input": "x"}) == [user("x")]
