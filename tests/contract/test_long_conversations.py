"""Long conversations of an OpenAI client: cut by the gateway, or left to the API to shorten."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.contract.harness.gateway import Gateway, api_beside
from tests.contract.harness.simulator import Simulator

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "read_file",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
    },
}
MODEL = "claude-sonnet-5-5"


def _gateway(strategy: str, gateway: Gateway, home: Path, tokens: str) -> Iterator[openai.OpenAI]:
    settings = {
        "ENABLE_CONTEXT_PRUNING": "1",
        "CONTEXT_STRATEGY": strategy,
        "CONTEXT_MAX_TOKENS": tokens,
        "REFERENCES_AGENT": "off",
    }
    with (
        api_beside(gateway, home / strategy, **settings) as beside,
        openai.OpenAI(base_url=beside.base_url, api_key=beside.api_key, max_retries=0) as sdk,
    ):
        yield sdk


@pytest.fixture(scope="module")
def compacting(gateway: Gateway, contract_home: Path) -> Iterator[openai.OpenAI]:
    yield from _gateway("anthropic_compact", gateway, contract_home, "50000")


@pytest.fixture(scope="module")
def clearing(gateway: Gateway, contract_home: Path) -> Iterator[openai.OpenAI]:
    yield from _gateway("anthropic_clear", gateway, contract_home, "12000")


@pytest.fixture(scope="module")
def extracting(gateway: Gateway, contract_home: Path) -> Iterator[openai.OpenAI]:
    yield from _gateway("extract", gateway, contract_home, "8000")


def converse(sdk: openai.OpenAI, simulator: Simulator, rounds: int, words: int) -> list[Any]:
    """The upstream bodies of an agent's loop; the client keeps what the chat API knows."""
    messages: list[Any] = [{"role": "user", "content": "Read the files, please"}]
    sent = []
    for number in range(rounds):
        call = {"type": "tool_use", "name": "read_file", "input": {"path": f"{number}.txt"}}
        simulator.script({"blocks": [{"type": "thinking", "thinking": ""}, call]})
        answer = sdk.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
        sent.append(simulator.last())
        said = answer.choices[0].message
        calls = [each.model_dump(exclude_none=True) for each in said.tool_calls or ()]
        messages.append({"role": "assistant", "content": said.content, "tool_calls": calls})
        text = " ".join(f"word{number}x{index}" for index in range(words))
        messages.append({"role": "tool", "tool_call_id": calls[0]["id"], "content": text})
    assert [each for each in simulator.requests() if each["status"] != 200] == []
    return sent


def kinds(body: Any, kind: str) -> list[Any]:
    return [
        block
        for message in body["messages"]
        for block in message["content"]
        if block["type"] == kind
    ]


def test_a_summary_of_the_api_comes_back_with_every_later_request(
    compacting: openai.OpenAI, simulator: Simulator
) -> None:
    sent = converse(compacting, simulator, 10, 2_000)
    first = next(index for index, body in enumerate(sent) if kinds(body, "compaction"))
    assert 2 < first < 9
    for body in sent[first:]:
        summary = kinds(body, "compaction")[0]
        assert summary == kinds(sent[first], "compaction")[0]
        assert summary["content"].startswith("Summary")
    assert len(kinds(sent[-1], "compaction")) < 4
    assert kinds(sent[-1], "thinking")


def test_old_results_are_cleared_by_the_api(clearing: openai.OpenAI, simulator: Simulator) -> None:
    sent = converse(clearing, simulator, 10, 700)
    assert all(body["context_management"]["edits"] for body in sent)
    assert len(kinds(sent[-1], "tool_result")) == 9
    counted = [record["usage"]["input_tokens"] for record in simulator.requests()]
    assert max(counted) < 30_000


def test_the_gateway_cuts_in_rare_steps_that_the_api_takes(
    extracting: openai.OpenAI, simulator: Simulator
) -> None:
    sent = converse(extracting, simulator, 24, 300)
    cuts = [
        block["text"]
        for body in sent
        for block in body["messages"][0]["content"]
        if "removed by the gateway" in block.get("text", "")
    ]
    assert cuts
    assert 1 <= len(set(cuts)) <= 8
    assert len(sent[-1]["messages"]) < 40
    assert ".txt" in cuts[-1]
