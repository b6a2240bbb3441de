"""The built-in coding agent."""

from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from simulator.agent import act
from simulator.intents import find_intents


def tool(name: str, *required: str, **properties: Any) -> dict[str, Any]:
    described = {key: {"type": "string"} for key in required} | properties
    schema = {"type": "object", "properties": described, "required": list(required)}
    return {"name": name, "input_schema": schema}


READ = tool("read_file", "path")
RUN = tool("execute_command", "command")
EDITORS = [tool("Read", "file_path"), tool("Bash", "command"), tool("LS", "path")]


def calls(world: Any, **fields: Any) -> list[tuple[str, Any]]:
    plan = act(world.prepare(world.body(**fields)).request)
    return [(b.name, b.input) for b in plan.blocks or [] if b.kind == "tool_use"]


def spoken(world: Any, **fields: Any) -> str:
    plan = act(world.prepare(world.body(**fields)).request)
    return "".join(b.text for b in plan.blocks or [] if b.kind == "text")


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize(
    ("prompt", "tools", "expected"),
    [
        ("please read src/app.py", [READ], [("read_file", {"path": "src/app.py"})]),
        ("What does main.go do?", [READ], [("read_file", {"path": "main.go"})]),
        ("run `pytest -q`", [READ, RUN], [("execute_command", {"command": "pytest -q"})]),
        (
            "look at a.py and b.py",
            EDITORS,
            [("Read", {"file_path": "a.py"}), ("Read", {"file_path": "b.py"})],
        ),
        ("list the files here", EDITORS, [("LS", {"path": "."})]),
        (
            "grep for needle",
            [tool("search_files", "path", "regex")],
            [("search_files", {"path": ".", "regex": "needle"})],
        ),
        ("hello there", [READ], []),
        ("see https://example.com/a.html", [READ], []),
        ("read x.py", [], []),
    ],
)
def test_the_agent_calls_the_tool_that_fits(
    world: Any, prompt: str, tools: Any, expected: Any
) -> None:
    assert calls(world, messages=[user(prompt)], tools=tools) == expected


def test_steps_follow_one_another_and_end_in_text(world: Any) -> None:
    turns: list[dict[str, Any]] = [user("read a.py and then run `make`")]
    seen = []
    for step in range(2):
        made = calls(world, messages=turns, tools=[READ, RUN])
        seen += made
        call = {"type": "tool_use", "id": f"t{step}", "name": made[0][0], "input": made[0][1]}
        result = {"type": "tool_result", "tool_use_id": f"t{step}", "content": f"output {step}"}
        turns += [
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]},
        ]
    assert [name for name, _ in seen] == ["read_file", "execute_command"]
    assert calls(world, messages=turns, tools=[READ, RUN]) == []
    assert "output 1" in spoken(world, messages=turns, tools=[READ, RUN])


def test_tool_choice_is_respected(world: Any) -> None:
    messages = [user("read a.py")]
    none = calls(world, messages=messages, tools=[READ], tool_choice={"type": "none"})
    forced = calls(world, messages=[user("hello")], tools=[READ, RUN], tool_choice={"type": "any"})
    named = {"type": "tool", "name": "execute_command"}
    chosen = calls(world, messages=messages, tools=[READ, RUN], tool_choice=named)
    assert none == []
    assert len(forced) == 1
    assert [name for name, _ in chosen] == ["execute_command"]


def test_parallel_calls_can_be_switched_off(world: Any) -> None:
    one = {"type": "auto", "disable_parallel_tool_use": True}
    made = calls(world, messages=[user("read a.py b.py")], tools=[READ], tool_choice=one)
    assert len(made) == 1


def test_a_format_gets_json_that_fits(world: Any) -> None:
    item = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "when": {"type": "string", "format": "date"}},
        "required": ["n", "when"],
        "additionalProperties": False,
    }
    schema = {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
            "kind": {"enum": ["a", "b"]},
            "maybe": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        },
        "required": ["items", "kind", "maybe"],
        "additionalProperties": False,
        "$defs": {"item": item},
    }
    config = {"format": {"type": "json_schema", "schema": schema}}
    text = spoken(world, output_config=config)
    Draft202012Validator(schema).validate(orjson.loads(text))


def test_thinking_models_think_first(world: Any) -> None:
    def kinds(**fields: Any) -> list[str]:
        plan = act(world.prepare(world.body(**fields)).request)
        return [block.kind for block in plan.blocks or []]

    assert kinds(model="claude-opus-5-5") == ["thinking", "text"]
    assert kinds(model="claude-opus-4-8") == ["text"]
    assert kinds(model="claude-haiku-5-5", thinking={"type": "disabled"}) == ["text"]


def test_display_decides_whether_thinking_has_text(world: Any) -> None:
    def thought(**fields: Any) -> str:
        plan = act(world.prepare(world.body(**fields)).request)
        return (plan.blocks or [])[0].text

    shown = {"type": "adaptive", "display": "summarized"}
    assert thought(model="claude-opus-5-5") == ""
    assert "hello" in thought(model="claude-opus-5-5", thinking=shown)


def test_boilerplate_of_clients_is_not_a_request() -> None:
    assert find_intents("hello\nhow are you?") == []
    assert [i.kind for i in find_intents("edit a.py, then run tests")] == ["edit", "run"]
