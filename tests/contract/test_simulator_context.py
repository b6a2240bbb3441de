"""Context editing and compaction of the simulator, as the official anthropic package reads them."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import pytest

from tests.contract.harness.simulator import Simulator, running_simulator

TOOLS: list[Any] = [
    {"name": "read_file", "input_schema": {"type": "object", "properties": {}}, "description": "r"}
]


@pytest.fixture(scope="module")
def simulated() -> Iterator[Simulator]:
    with running_simulator("--delta-delay", "0") as simulator:
        yield simulator


@pytest.fixture
async def sdk(simulated: Simulator) -> AsyncIterator[anthropic.AsyncAnthropic]:
    client = anthropic.AsyncAnthropic(api_key="test", base_url=simulated.base_url, max_retries=0)
    async with client:
        yield client


def history(rounds: int, words: int) -> list[Any]:
    messages: list[Any] = [{"role": "user", "content": "read them all"}]
    for number in range(rounds):
        call = {"type": "tool_use", "id": f"toolu_{number}", "name": "read_file", "input": {}}
        outcome = {
            "type": "tool_result",
            "tool_use_id": f"toolu_{number}",
            "content": f"file {number} " * words,
        }
        messages += [
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [outcome]},
        ]
    return messages


async def test_cleared_results_are_reported_in_answers_and_streams(sdk: Any) -> None:
    asked: dict[str, Any] = {
        "model": "claude-sonnet-5-5",
        "max_tokens": 2_000,
        "messages": history(8, 500),
        "tools": TOOLS,
        "betas": ["context-management-2025-06-27"],
        "context_management": {
            "edits": [
                {
                    "type": "clear_tool_uses_20250919",
                    "trigger": {"type": "input_tokens", "value": 3_000},
                    "keep": {"type": "tool_uses", "value": 2},
                }
            ]
        },
    }
    message = await sdk.beta.messages.create(**asked)
    (applied,) = message.context_management.applied_edits
    assert applied.cleared_tool_uses == 6
    assert applied.cleared_input_tokens > 5_000
    async with sdk.beta.messages.stream(**asked) as stream:
        streamed = await stream.get_final_message()
    assert streamed.context_management == message.context_management
    asked.pop("max_tokens")
    counted = await sdk.beta.messages.count_tokens(**asked)
    original = counted.context_management.original_input_tokens
    assert original - counted.input_tokens == applied.cleared_input_tokens


async def test_a_compaction_comes_back_and_goes_on(sdk: Any) -> None:
    asked: dict[str, Any] = {
        "model": "claude-sonnet-5-5",
        "max_tokens": 2_000,
        "messages": history(10, 2_500),
        "tools": TOOLS,
        "betas": ["compact-2026-01-12"],
        "context_management": {
            "edits": [
                {
                    "type": "compact_20260112",
                    "trigger": {"type": "input_tokens", "value": 50_000},
                }
            ]
        },
    }
    async with sdk.beta.messages.stream(**asked) as stream:
        message = await stream.get_final_message()
    block = message.content[0]
    assert block.type == "compaction"
    assert block.content.startswith("Summary")
    assert block.encrypted_content
    compaction, own = message.usage.iterations
    assert (compaction.type, own.type) == ("compaction", "message")
    assert compaction.input_tokens > 50_000
    assert message.usage.input_tokens == own.input_tokens < 5_000
    said = {"role": "assistant", "content": [each.to_dict() for each in message.content]}
    outcome = [
        {"type": "tool_result", "tool_use_id": each.id, "content": "ok"}
        for each in message.content
        if each.type == "tool_use"
    ]
    asked["messages"] = [
        *asked["messages"],
        said,
        {"role": "user", "content": outcome or "and now?"},
    ]
    second = await sdk.beta.messages.create(**asked)
    assert second.usage.input_tokens < 5_000


async def test_it_is_refused_without_its_header(sdk: Any) -> None:
    with pytest.raises(anthropic.BadRequestError, match="Extra inputs are not permitted"):
        await sdk.messages.create(
            model="claude-sonnet-5-5",
            max_tokens=10,
            messages=[{"role": "user", "content": "hello"}],
            extra_body={"context_management": {"edits": []}},
        )
