"""What a process remembers of a conversation never shows in what it sends."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.contract.harness.gateway import Gateway, api_beside
from tests.contract.harness.processes import until
from tests.contract.harness.simulator import Simulator

Loop = Callable[[openai.OpenAI, Simulator], dict[str, Any]]

MODEL = "claude-sonnet-5-5"
ROUNDS = 8
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
FILE = "\n".join(f"    value_{line} = compute(value, step={line})  # «é»" for line in range(120))


@pytest.fixture
def remembering(gateway: Gateway, contract_home: Path) -> Iterator[Gateway]:
    with api_beside(gateway, contract_home / "remembering") as beside:
        yield beside


@pytest.fixture
def forgetful(gateway: Gateway, contract_home: Path) -> Iterator[Gateway]:
    """A process that has seen nothing."""
    with api_beside(gateway, contract_home / "forgetful") as beside:
        yield beside


def sdk_of(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=gateway.base_url, api_key=gateway.api_key, max_retries=0)


def step(simulator: Simulator, number: int) -> None:
    call = {"type": "tool_use", "name": "read_file", "input": {"path": f"{number}.py"}}
    simulator.script({"blocks": [{"type": "thinking", "thinking": "Hm."}, call]})


def chat_loop(sdk: openai.OpenAI, simulator: Simulator) -> dict[str, Any]:
    """The last request of an agent that reads files, some of them twice."""
    tool = {"type": "function", "function": {"name": "read_file", "parameters": SCHEMA}}
    messages: list[Any] = [{"role": "user", "content": "Read all files, please. " + FILE}]
    request: dict[str, Any] = {"model": MODEL, "messages": messages, "tools": [tool]}
    for number in range(ROUNDS):
        step(simulator, number)
        answer = sdk.chat.completions.create(**request)
        call = answer.choices[0].message.tool_calls[0]
        content = f"# file {number // 2}\n{FILE}"
        messages.append(answer.choices[0].message.to_dict())
        messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
    return request


def response_loop(sdk: openai.OpenAI, simulator: Simulator) -> dict[str, Any]:
    """The same as a client of the Responses API that carries its reasoning itself."""
    tool = {"type": "function", "name": "read_file", "parameters": SCHEMA}
    items: list[Any] = [{"role": "user", "content": "Read all files, please. " + FILE}]
    request: dict[str, Any] = {"model": MODEL, "input": items, "tools": [tool], "store": False}
    request |= {"instructions": "Be brief.", "include": ["reasoning.encrypted_content"]}
    for number in range(ROUNDS):
        step(simulator, number)
        answer = sdk.responses.create(**request)
        output = [item.to_dict() for item in answer.output]
        call_id = next(item["call_id"] for item in output if item["type"] == "function_call")
        content = f"# file {number // 2}\n{FILE}"
        items += output
        items.append({"type": "function_call_output", "call_id": call_id, "output": content})
    return request


def until_known(gateway: Gateway) -> None:
    """All but the first two requests begin with what the process has read."""
    until(
        lambda: gateway.metric("gateway_cache_hits_total", cache_type="prefix") >= ROUNDS - 1,
        "the process has known beginnings",
    )


@pytest.mark.parametrize("loop", [chat_loop, response_loop])
def test_a_process_that_knows_a_conversation_sends_what_a_new_one_sends(
    remembering: Gateway, forgetful: Gateway, simulator: Simulator, loop: Loop
) -> None:
    with sdk_of(remembering) as knowing, sdk_of(forgetful) as new:
        request = loop(knowing, simulator)
        sent = []
        for sdk in (knowing, new, knowing):
            create: Any = (
                sdk.responses.create if "input" in request else sdk.chat.completions.create
            )
            create(**request)
            sent.append(simulator.last())
    assert len(sent[0]["messages"]) == 2 * ROUNDS + 1
    assert "«identical to [ctx" in str(sent[0])
    assert "'type': 'thinking'" in str(sent[0])
    assert sent[0] == sent[1] == sent[2]
    until_known(remembering)
