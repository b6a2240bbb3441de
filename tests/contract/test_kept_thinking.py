"""Thinking survives clients of the chat API, which drop it, and is left out where it must be."""

from typing import Any

import openai
import pytest

from tests.contract.harness.simulator import Simulator

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Reads a file",
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string"}},
            "required": ["path"],
        },
    },
}


def _turn(client: openai.OpenAI, model: str, messages: list[Any], number: int) -> None:
    """One turn of a client that keeps only what the chat API knows: content and tool calls."""
    answer = client.chat.completions.create(model=model, messages=messages, tools=[TOOL])
    said = answer.choices[0].message
    kept: dict[str, Any] = {"role": "assistant", "content": said.content}
    if said.tool_calls:
        kept["tool_calls"] = [call.model_dump(exclude_none=True) for call in said.tool_calls]
    messages.append(kept)
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": "line one"}
        for call in said.tool_calls or ()
    ]
    if not said.tool_calls:
        messages.append({"role": "user", "content": f"Read the file part{number}.txt, please"})


def _refusals(simulator: Simulator) -> list[Any]:
    return [record for record in simulator.requests() if record["status"] == 400]


@pytest.mark.parametrize("model", ["claude-sonnet-5-5", "claude-opus-5-5", "claude-opus-4-6"])
def test_p32_forty_turns_keep_their_thinking(
    model: str, client: openai.OpenAI, simulator: Simulator
) -> None:
    simulator.set(prefix_binding=True)
    messages: list[Any] = [{"role": "user", "content": "Read the file notes.txt, please"}]
    for number in range(40):
        _turn(client, model, messages, number)
    assert _refusals(simulator) == []
    sent = simulator.last()["messages"]
    answers = [message for message in sent if message["role"] == "assistant"]
    assert len(answers) == 39
    if model != "claude-opus-4-6":  # which thinks only when asked
        assert all(answer["content"][0]["type"] == "thinking" for answer in answers)


def test_a_clock_in_the_system_text_costs_no_thinking(
    client: openai.OpenAI, simulator: Simulator
) -> None:
    simulator.set(prefix_binding=True)
    messages: list[Any] = [{"role": "user", "content": "Read the file clock.txt, please"}]
    for number in range(8):
        clock = f"Be careful.\nCurrent time: 2026-11-25T02:{number + 10}:00Z\nBe kind."
        messages[:1] = [{"role": "system", "content": clock}, *messages[:1][number > 0 :]]
        _turn(client, "claude-sonnet-5-5", messages, number)
    assert _refusals(simulator) == []
    sent = simulator.last()["messages"]
    answers = [message for message in sent if message["role"] == "assistant"]
    assert len(answers) == 7
    assert all(answer["content"][0]["type"] == "thinking" for answer in answers)
    assert str(sent).count("Current time") == 8


def test_a_client_that_edits_its_history_is_never_refused(
    client: openai.OpenAI, simulator: Simulator
) -> None:
    simulator.set(prefix_binding=True)
    messages: list[Any] = [
        {"role": "system", "content": "You are careful."},
        {"role": "user", "content": "Read the file notes.txt, please"},
    ]
    for number in range(20):
        _turn(client, "claude-sonnet-5-5", messages, number)
        if number % 5 == 4:
            messages[0] = {"role": "system", "content": f"You are careful, version {number}."}
        if number == 12:
            del messages[3:7]
    assert _refusals(simulator) == []
    sent = simulator.last()["messages"]
    newest = [message for message in sent if message["role"] == "assistant"][-1]
    assert newest["content"][0]["type"] == "thinking"
