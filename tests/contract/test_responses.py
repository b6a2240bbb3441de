"""The Responses API through the official SDK: items, state, sealed reasoning, tool loops."""

from typing import Any

import httpx2
import openai
import pytest

from tests.contract.harness.gateway import Gateway
from tests.contract.harness.simulator import Simulator

MODEL = "claude-sonnet-5-5"
READ_FILE: Any = {
    "type": "function",
    "name": "read_file",
    "description": "Reads a file",
    "parameters": {
        "type": "object",
        "properties": {"path": {"type": "string"}},
        "required": ["path"],
    },
}


@pytest.fixture(autouse=True)
def _binding(simulator: Simulator) -> None:
    simulator.set(prefix_binding=True)


def _call(item: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": item.call_id, "output": "the canary sings"}


def test_a_text_comes_whole_and_streamed(client: openai.OpenAI) -> None:
    whole = client.responses.create(model=MODEL, input="Say hello")
    assert (whole.status, whole.model) == ("completed", MODEL)
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
    with client.responses.stream(model=MODEL, input="Say hello") as stream:
        numbers = [event.sequence_number for event in stream]
        streamed = stream.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert streamed.output_text == whole.output_text


@pytest.mark.parametrize("stream", [True, False])
def test_a_tool_loop_that_stores_nothing_keeps_its_reasoning(
    stream: bool, client: openai.OpenAI, simulator: Simulator
) -> None:
    items: list[Any] = [{"role": "user", "content": "Read the file notes.txt, please"}]
    for _ in range(3):
        wanted: dict[str, Any] = {
            "model": MODEL,
            "input": items,
            "tools": [READ_FILE],
            "store": False,
            "include": ["reasoning.encrypted_content"],
        }
        if stream:
            with client.responses.stream(**wanted) as events:
                events.until_done()
                answer: Any = events.get_final_response()
        else:
            answer = client.responses.create(**wanted)
        items += [item.model_dump(exclude_none=True) for item in answer.output]
        calls = [item for item in answer.output if item.type == "function_call"]
        if not calls:
            break
        items += [_call(item) for item in calls]
    assert "canary" in answer.output_text
    newest = simulator.last()["messages"]
    thinking = [b for m in newest if m["role"] == "assistant" for b in m["content"]]
    assert thinking[0]["type"] == "thinking"


def test_p32_forty_turns_on_stored_state_never_lose_their_thinking(
    client: openai.OpenAI, simulator: Simulator
) -> None:
    previous: str | None = None
    given: Any = "Read the file notes.txt, please"
    turns = 40
    for turn in range(turns):
        answer = client.responses.create(
            model=MODEL, input=given, tools=[READ_FILE], previous_response_id=previous
        )
        previous = answer.id
        calls = [item for item in answer.output if item.type == "function_call"]
        given = [_call(item) for item in calls] or f"Read the file part{turn}.txt, please"
    assistant = [m for m in simulator.last()["messages"] if m["role"] == "assistant"]
    assert len(assistant) == turns - 1
    assert all(message["content"][0]["type"] == "thinking" for message in assistant)


def test_a_conversation_goes_on_from_a_stored_response(
    client: openai.OpenAI, simulator: Simulator
) -> None:
    first = client.responses.create(model=MODEL, input="My name is Kim", instructions="Be brief")
    client.responses.create(model=MODEL, input="Who am I?", previous_response_id=first.id)
    sent = simulator.last()
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
    assert "system" not in sent  # instructions are not inherited


def test_a_stored_response_is_read_listed_and_deleted(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    made = client.responses.create(model=MODEL, input="Keep me")
    assert client.responses.retrieve(made.id).output_text == made.output_text
    (item,) = client.responses.input_items.list(made.id).data
    assert item.type == "message"
    client.responses.delete(made.id)
    for gone in (client.responses.retrieve, client.responses.delete):
        with pytest.raises(openai.NotFoundError):
            gone(made.id)


def test_what_was_not_stored_cannot_be_read(client: openai.OpenAI) -> None:
    made = client.responses.create(model=MODEL, input="Forget me", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model=MODEL, input="x", previous_response_id=made.id)
    assert caught.value.code == "previous_response_not_found"


def test_another_project_never_reads_a_response(client: openai.OpenAI, gateway: Gateway) -> None:
    made = client.responses.create(model=MODEL, input="Mine")
    with gateway.http(key="cgw_stranger") as stranger:
        assert stranger.get(f"/v1/responses/{made.id}").status_code == 401


def test_custom_and_namespaced_tools_come_back_under_their_names(
    client: openai.OpenAI, simulator: Simulator
) -> None:
    simulator.script(
        {"blocks": [{"type": "tool_use", "name": "fs__read", "input": {"path": "a"}}]},
        {"blocks": [{"type": "tool_use", "name": "patch", "input": {"input": "*** Begin"}}]},
    )
    namespace: Any = {
        "type": "namespace",
        "name": "fs",
        "description": "Files",
        "tools": [{**READ_FILE, "name": "read"}],
    }
    custom: Any = {"type": "custom", "name": "patch", "description": "Applies a patch"}
    found: list[Any] = []
    for _ in range(2):
        answer = client.responses.create(model=MODEL, input="Go", tools=[namespace, custom])
        found += [item for item in answer.output if item.type.endswith("_call")]
    assert (found[0].type, found[0].name, found[0].namespace) == ("function_call", "read", "fs")
    assert (found[1].type, found[1].input) == ("custom_tool_call", "*** Begin")


def test_a_structured_answer_is_parsed(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    answer = client.responses.create(
        model=MODEL,
        input="A name",
        text={"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}},
    )
    assert answer.output_text.startswith('{"name"')


def test_tokens_are_counted(client: openai.OpenAI) -> None:
    assert client.responses.input_tokens.count(model=MODEL, input="hello").input_tokens > 0


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "x", "background": True, "store": False}, "store"),
        ({"input": [{"type": "message", "role": "user", "content": 1}]}, "input[0].content"),
        ({"input": [{"type": "nonsense"}]}, "input[0].type"),
        ({}, "input"),
    ],
)
def test_bad_input_is_refused_with_its_path(
    body: dict[str, Any], param: str, http: httpx2.Client
) -> None:
    response = http.post("/v1/responses", json={"model": MODEL, **body})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_p23_an_error_in_the_middle_fails_the_response(client: openai.OpenAI) -> None:
    prompt = "[[sim:error overloaded after=3]]"
    with client.responses.stream(model=MODEL, input=prompt) as stream:
        kinds = [event.type for event in stream]
    assert kinds[-2:] == ["error", "response.failed"]


def test_upstream_errors_keep_their_status(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.responses.create(model=MODEL, input="[[sim:error 529]]")
    assert caught.value.status_code == 503


def test_cancelling_is_for_background_responses(client: openai.OpenAI) -> None:
    made = client.responses.create(model=MODEL, input="hi")
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(made.id)
