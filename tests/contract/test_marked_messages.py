"""ENABLE_MESSAGES_REDUCTION: cache marks on Messages requests, and not one other change."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.contract.harness.gateway import Gateway, api_beside
from tests.contract.harness.processes import passable_directory
from tests.contract.harness.simulator import Simulator

SYSTEM = "You are a careful coding agent.\n" + "\n".join(f"Rule {n}: mind it." for n in range(300))
TOOL: Any = {
    "name": "read_file",
    "description": "Reads a file. " * 200,
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
}


@pytest.fixture(scope="module")
def marking(gateway: Gateway) -> Iterator[Gateway]:
    with (
        passable_directory("marking") as home,
        api_beside(gateway, home, ENABLE_MESSAGES_REDUCTION="1") as running,
    ):
        yield running


@pytest.fixture
def sdk(marking: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=marking.root_url, api_key=marking.api_key, max_retries=0
    ) as client:
        yield client


def bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: bare(item) for key, item in value.items() if key != "cache_control"}
    return [bare(item) for item in value] if isinstance(value, list) else value


def marks(value: Any) -> int:
    if isinstance(value, dict):
        return ("cache_control" in value) + sum(map(marks, value.values()))
    return sum(map(marks, value)) if isinstance(value, list) else 0


def loop(sdk: anthropic.Anthropic, turns: int, **fields: Any) -> list[Any]:
    messages: list[Any] = [{"role": "user", "content": "Read the file a.txt, please"}]
    for number in range(turns):
        answer = sdk.messages.create(
            model="claude-sonnet-5-5",
            max_tokens=8000,
            messages=messages,
            **{"system": SYSTEM, "tools": [TOOL], **fields},
        )
        messages.append({"role": "assistant", "content": answer.to_dict()["content"]})
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "line\n" * 300}
            for block in answer.content
            if block.type == "tool_use"
        ]
        text = {"type": "text", "text": f"Read the file part{number}.txt, please"}
        messages.append({"role": "user", "content": results or [text]})
    return messages


def test_a_tool_loop_is_marked_and_its_thinking_stays_legal(
    sdk: anthropic.Anthropic, simulator: Simulator
) -> None:
    simulator.set(prefix_binding=True)
    messages = loop(sdk, 8)
    records = simulator.requests()
    assert [record["status"] for record in records] == [200] * 8
    assert all(1 <= marks(record["body"]) <= 4 for record in records)
    sent = bare(records[-1]["body"])
    assert sent["messages"][1:] == messages[1 : len(sent["messages"])]
    assert sent["messages"][0]["content"] == [{"type": "text", "text": messages[0]["content"]}]
    assert sent["system"] == [{"type": "text", "text": SYSTEM}]
    assert records[-1]["usage"]["cache_read_input_tokens"] > 0


def test_the_clients_own_marks_count(sdk: anthropic.Anthropic, simulator: Simulator) -> None:
    system = [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    loop(sdk, 3, system=system)
    body = simulator.last()
    assert body["system"] == system
    assert marks(body) <= 4


def test_automatic_caching_is_left_to_the_api(
    sdk: anthropic.Anthropic, simulator: Simulator
) -> None:
    loop(sdk, 2, cache_control={"type": "ephemeral"})
    assert marks(simulator.last()) == 1


def test_what_is_wrong_is_judged_by_the_api(sdk: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError):
        sdk.messages.create(
            model="claude-sonnet-5-5", max_tokens=10, messages=[{"role": "user", "content": []}]
        )
