"""Tools through the official OpenAI package: loops, parallel calls, legacy functions, freeform."""

from typing import Any

import openai
import pytest

from gateway import wire
from tests.contract.harness.simulator import Simulator

MODEL = "claude-sonnet-5-5"


def tool(name: str, **properties: Any) -> dict[str, Any]:
    properties = properties or {"path": {"type": "string"}}
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    function = {"name": name, "description": f"does {name}", "parameters": parameters}
    return {"type": "function", "function": function}


TOOLS = [tool("read_file"), tool("list_files", directory={"type": "string"})]


def turn(client: Any, messages: list[Any], stream: bool, **fields: Any) -> tuple[Any, str]:
    """The assistant's message of the next turn, as it is sent back, and the finish reason."""
    body = {"model": MODEL, "messages": messages, "tools": TOOLS, **fields}
    if not stream:
        (choice,) = client.chat.completions.create(**body).choices
        return choice.message.model_dump(exclude_none=True), choice.finish_reason
    with client.chat.completions.stream(**body) as events:
        (choice,) = events.get_final_completion().choices
    message = choice.message.model_dump(exclude_none=True)
    for call in message.get("tool_calls", ()):
        call["function"].pop("parsed_arguments", None)
        call.pop("index", None)
    message.pop("parsed", None)
    return message, choice.finish_reason


def result(call: Any, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call["id"], "content": content}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [MODEL, "claude-opus-5-5", "claude-haiku-5-5", "claude-opus-4-5"])
def test_p01_a_tool_loop_of_two_rounds(
    client: Any, stream: bool, model: str, simulator: Simulator
) -> None:
    messages: list[Any] = [
        {"role": "system", "content": "You are a coding agent."},
        {"role": "user", "content": "read notes.txt then list the directory src"},
    ]
    seen: list[str] = []
    for content in ("forty-two", "a.py\nb.py"):
        message, reason = turn(client, messages, stream, model=model)
        assert reason == "tool_calls"
        (call,) = message["tool_calls"]
        assert call["type"] == "function"
        assert isinstance(wire.loads(call["function"]["arguments"]), dict)
        seen.append(call["function"]["name"])
        messages += [message, result(call, content)]
    message, reason = turn(client, messages, stream, model=model)
    assert seen == ["read_file", "list_files"]
    assert reason == "stop"
    assert "a.py" in message["content"]
    assert {record["status"] for record in simulator.requests()} == {200}
    assert len(simulator.requests()) == 3


@pytest.mark.parametrize("stream", [False, True])
def test_p09_parallel_results_are_one_turn_in_the_order_of_the_calls(
    client: Any, stream: bool, simulator: Simulator
) -> None:
    text = "".join(f'[[sim:tool read_file {{"path": "{name}.py"}}]]' for name in "abc")
    messages: list[Any] = [{"role": "user", "content": text}]
    message, reason = turn(client, messages, stream)
    assert reason == "tool_calls"
    calls = message["tool_calls"]
    assert [wire.loads(call["function"]["arguments"])["path"] for call in calls] == [
        "a.py",
        "b.py",
        "c.py",
    ]
    assert len({call["id"] for call in calls}) == 3
    messages += [message, *(result(call, f"of {call['id']}") for call in reversed(calls))]
    messages.append({"role": "user", "content": "[[sim:text all three]]"})
    _, reason = turn(client, messages, stream)
    assert reason == "stop"
    last = simulator.last()["messages"][-1]
    assert last["role"] == "user"
    ids = [block["tool_use_id"] for block in last["content"] if block["type"] == "tool_result"]
    assert ids == [call["id"] for call in calls]
    assert [block["type"] for block in last["content"]] == ["tool_result"] * 3 + ["text"]


def test_p18_p19_p20_streamed_calls_count_from_zero_and_give_name_and_id_once(client: Any) -> None:
    text = (
        '[[sim:thinking hm]][[sim:text first]][[sim:tool read_file {"path": "ä"}]][[sim:tool ping]]'
    )
    tools = [*TOOLS, {"type": "function", "function": {"name": "ping"}}]
    chunks = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": text}], tools=tools, stream=True
    )
    parts = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or ()]
    assert sorted({part.index for part in parts}) == [0, 1]
    for index, name, arguments in ((0, "read_file", {"path": "ä"}), (1, "ping", {})):
        own = [part for part in parts if part.index == index]
        assert [part.function.name for part in own] == [name] + [None] * (len(own) - 1)
        assert [bool(part.id) for part in own] == [True] + [False] * (len(own) - 1)
        assert [part.type for part in own] == ["function"] + [None] * (len(own) - 1)
        joined = "".join(part.function.arguments or "" for part in own)
        assert wire.loads(joined) == arguments


@pytest.mark.parametrize("stream", [False, True])
def test_p06_names_of_any_form_come_back_as_they_were(
    client: Any, stream: bool, simulator: Simulator
) -> None:
    names = ["server.read/file", "mcp:list files", "x" * 90, "werkzeug_für_größen"]
    tools = [tool(name) for name in names]
    for name in names:
        first: list[Any] = [{"role": "user", "content": "go"}]
        simulator.forget()
        simulator.script({"blocks": [{"type": "tool_use", "name": "?", "input": {"path": "p"}}]})
        sent = _sent_name(client, simulator, first, tools, name)
        simulator.script({"blocks": [{"type": "tool_use", "name": sent, "input": {"path": "p"}}]})
        message, _ = turn(client, first, stream, tools=tools)
        (call,) = message["tool_calls"]
        assert call["function"]["name"] == name
        simulator.script({"blocks": [{"type": "text", "text": "ok"}]})
        _, reason = turn(client, [*first, message, result(call, "r")], stream, tools=tools)
        assert reason == "stop"


def _sent_name(
    client: Any, simulator: Simulator, messages: list[Any], tools: list[Any], name: str
) -> str:
    """The name a tool has at the upstream, learned from a request that describes it."""
    client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
    description = f"does {name}"
    sent = [
        each["name"] for each in simulator.last()["tools"] if each["description"] == description
    ]
    assert len(sent) == 1
    assert sent[0].isascii()
    assert len(sent[0]) <= 64
    return str(sent[0])


@pytest.mark.parametrize("stream", [False, True])
def test_legacy_functions_are_answered_in_their_own_form(
    client: Any, stream: bool, simulator: Simulator
) -> None:
    body: dict[str, Any] = {
        "model": MODEL,
        "functions": [TOOLS[0]["function"]],
        "function_call": "auto",
        "stream": stream,
    }
    messages: list[Any] = [{"role": "user", "content": "read notes.txt"}]
    answer = client.chat.completions.create(**body, messages=messages)
    if stream:
        choices = [chunk.choices[0] for chunk in answer]
        parts = [each.delta.function_call for each in choices if each.delta.function_call]
        name = "".join(part.name or "" for part in parts)
        arguments = "".join(part.arguments or "" for part in parts)
        reason = choices[-1].finish_reason
    else:
        (choice,) = answer.choices
        name, arguments = choice.message.function_call.name, choice.message.function_call.arguments
        reason = choice.finish_reason
        assert choice.message.tool_calls is None
    assert (name, wire.loads(arguments), reason) == (
        "read_file",
        {"path": "notes.txt"},
        "function_call",
    )
    called = {"name": name, "arguments": arguments}
    messages += [
        {"role": "assistant", "content": None, "function_call": called},
        {"role": "function", "name": name, "content": "forty-two"},
    ]
    final = client.chat.completions.create(**{**body, "stream": False}, messages=messages)
    assert final.choices[0].finish_reason == "stop"
    assert "forty-two" in final.choices[0].message.content
    assert {record["status"] for record in simulator.requests()} == {200}


def test_custom_tools_take_and_give_plain_text(client: Any, simulator: Simulator) -> None:
    tools = [{"type": "custom", "custom": {"name": "apply_patch", "description": "patches"}}]
    text = '[[sim:tool apply_patch {"input": "*** Begin\\n+ü"}]]'
    messages: list[Any] = [{"role": "user", "content": text}]
    (choice,) = client.chat.completions.create(model=MODEL, messages=messages, tools=tools).choices
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert (call.type, call.custom.name, call.custom.input) == (
        "custom",
        "apply_patch",
        "*** Begin\n+ü",
    )
    messages += [
        choice.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "patched"},
    ]
    final = client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
    assert "patched" in final.choices[0].message.content
    called = simulator.last()["messages"][1]["content"][-1]
    assert called["input"] == {"input": "*** Begin\n+ü"}


@pytest.mark.parametrize(
    ("model", "forced"),
    [("claude-haiku-5-5", True), ("claude-opus-5", True), ("claude-opus-5-5", False)],
)
@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "read_file"}}]
)
def test_p16_a_forced_choice_is_kept_or_asked_for(
    client: Any, model: str, forced: bool, choice: Any, simulator: Simulator
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=model,
        messages=[{"role": "user", "content": "read notes.txt"}],
        tools=TOOLS,
        tool_choice=choice,
        parallel_tool_calls=False,
    )
    assert raw.parse().choices[0].finish_reason == "tool_calls"
    sent = simulator.last()["tool_choice"]
    assert sent["disable_parallel_tool_use"] is True
    assert ("x-tool-choice" in raw.headers) is not forced
    assert (sent["type"] in {"any", "tool"}) is forced


def test_no_choice_keeps_the_tools_and_calls_none(client: Any, simulator: Simulator) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "read a.txt"}], "tools": TOOLS}
    answer = client.chat.completions.create(**body, tool_choice="none")
    assert answer.choices[0].finish_reason == "stop"
    assert simulator.last()["tool_choice"] == {"type": "none"}
    assert len(simulator.last()["tools"]) == 2
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            **body, tool_choice={"type": "function", "function": {"name": "nobody"}}
        )
    assert caught.value.param is not None
    assert caught.value.param.startswith("tool_choice")


@pytest.mark.parametrize("stream", [False, True])
def test_p22_a_call_that_was_cut_is_never_runnable(client: Any, stream: bool) -> None:
    text = '[[sim:tool read_file {"path": "a very long path that takes some tokens to write"}]]'
    body = {
        "model": "claude-haiku-5-5",
        "messages": [{"role": "user", "content": text}],
        "tools": TOOLS,
        "max_tokens": 5,
        "reasoning_effort": "none",
        "stream": stream,
    }
    answer = client.chat.completions.create(**body)
    if stream:
        assert [chunk.choices[0].finish_reason for chunk in answer][-1] == "length"
    else:
        assert answer.choices[0].finish_reason == "length"
        assert not answer.choices[0].message.tool_calls


def test_p05_p09_broken_histories_are_mended(client: Any, simulator: Simulator) -> None:
    call = {
        "id": "call_1|x",
        "type": "function",
        "function": {"name": "read_file", "arguments": ""},
    }
    bad = {"id": "b", "type": "function", "function": {"name": "read_file", "arguments": '{"p'}}
    messages: list[Any] = [
        {"role": "assistant", "content": "I begin"},
        {"role": "user", "content": "  "},
        {"role": "assistant", "content": None, "tool_calls": [call, bad]},
        {"role": "user", "content": "stop that"},
        {"role": "tool", "tool_call_id": "call_1|x", "content": ""},
        {"role": "tool", "tool_call_id": "orphan", "content": "nobody asked"},
        {"role": "system", "content": "be careful"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "go"}]},
        {"role": "assistant", "content": "so "},
    ]
    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
    assert answer.choices[0].finish_reason == "stop"
    assert [record["status"] for record in simulator.requests()] == [200]


def test_a_result_may_hold_an_image(client: Any, simulator: Simulator) -> None:
    pixel = (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
        "gg=="
    )
    call = {"id": "c1", "type": "function", "function": {"name": "shot", "arguments": "{}"}}
    parts = [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pixel}"}},
    ]
    messages: list[Any] = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": parts},
    ]
    client.chat.completions.create(model=MODEL, messages=messages, tools=[tool("shot")])
    (block,) = simulator.last()["messages"][-1]["content"]
    assert [part["type"] for part in block["content"]] == ["text", "image"]
