"""Prompts are paid for once: what arrives upstream from a whole conversation over HTTP."""

import itertools
from typing import Any

import httpx2
import openai
import pytest
import redis

from gateway.protocols.chat_dialects import translate
from gateway.reduction.references import decode_references
from tests.contract.harness.gateway import Gateway, frozen
from tests.contract.harness.processes import until
from tests.contract.harness.simulator import Simulator

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Reads a file of the workspace. " + "Paths are relative. " * 160,
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
    },
}
SYSTEM = "You are a careful coding agent.\n" + "\n".join(f"Rule {n}: mind it." for n in range(200))


def file(number: int) -> str:
    return "\n".join(f"{n:>6}\t    value_{n} = file_{number % 3}({n})" for n in range(1, 120))


def agent(client: openai.OpenAI, turns: int, model: str = "claude-sonnet-5-5") -> list[Any]:
    """A tool loop that reads three files again and again; returns its messages."""
    messages: list[Any] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": "Read the file a.txt, please"},
    ]
    for number in range(turns):
        answer = client.chat.completions.create(model=model, messages=messages, tools=[TOOL])
        said = answer.choices[0].message
        kept: dict[str, Any] = {"role": "assistant", "content": said.content}
        if said.tool_calls:
            kept["tool_calls"] = [call.model_dump(exclude_none=True) for call in said.tool_calls]
        messages.append(kept)
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": file(number)}
            for call in said.tool_calls or ()
        ]
        if not said.tool_calls:
            messages.append({"role": "user", "content": f"Read the file part{number}.txt, please"})
    return messages


def bare(body: Any) -> Any:
    """A body without cache marks."""
    if isinstance(body, dict):
        return {key: bare(value) for key, value in body.items() if key != "cache_control"}
    if isinstance(body, list):
        return [bare(value) for value in body]
    return body


def bodies(simulator: Simulator) -> list[Any]:
    return [record["body"] for record in simulator.requests()]


def marks(body: Any) -> int:
    if isinstance(body, dict):
        return ("cache_control" in body) + sum(marks(value) for value in body.values())
    return sum(marks(value) for value in body) if isinstance(body, list) else 0


@pytest.mark.parametrize("model", ["claude-sonnet-5-5", "claude-opus-4-6"])
def test_an_agents_history_is_sent_alike_on_every_turn_and_read_from_the_cache(
    model: str, client: openai.OpenAI, simulator: Simulator
) -> None:
    simulator.set(prefix_binding=True)
    agent(client, 24, model)
    assert [record["status"] for record in simulator.requests()] == [200] * 24
    sent = bodies(simulator)
    for before, after in itertools.pairwise(sent):
        earlier, later = bare(before), bare(after)
        assert later["messages"][: len(earlier["messages"])] == earlier["messages"]
        assert (later["system"], later["tools"]) == (earlier["system"], earlier["tools"])
    assert all(marks(body) <= 4 for body in sent)
    assert marks(sent[-1]) >= 2
    assert "«identical to [ctx 1]»" in str(sent[-1])


def test_what_is_sent_can_be_rebuilt_from_the_request_alone(
    client: openai.OpenAI, simulator: Simulator
) -> None:
    messages = agent(client, 12)
    body = bare(simulator.last())
    plain = translate({"model": "m", "messages": messages[:-2], "tools": [TOOL]}).body
    explained = body["system"].pop()
    assert "identical to [ctx N]" in explained["text"]
    assert body["system"] == plain["system"]
    rebuilt = decode_references(body)["messages"]
    texts = [
        [block for block in message["content"] if block["type"] != "thinking"]
        for message in rebuilt
    ]
    assert texts[: len(plain["messages"])] == [
        message["content"] for message in plain["messages"][: len(texts)]
    ]


def test_most_of_the_prompt_is_read_from_the_cache(
    client: openai.OpenAI, gateway: Gateway, simulator: Simulator
) -> None:
    before = gateway.usage()["totals"]
    agent(client, 12)

    def counted() -> Any:
        totals = gateway.usage()["totals"]
        return totals if totals["requests"] >= before["requests"] + 12 else None

    after = until(counted, "the usage of these requests is shipped")
    read = after["cache_read_tokens"] - before["cache_read_tokens"]
    fresh = after["input_tokens"] - before["input_tokens"]
    assert read > 4 * fresh


def test_without_what_was_remembered_requests_stay_legal(
    client: openai.OpenAI, gateway: Gateway, simulator: Simulator
) -> None:
    simulator.set(prefix_binding=True)
    messages = agent(client, 6)
    with redis.Redis.from_url(gateway.environment["REDIS_URL"]) as valkey:
        for key in valkey.scan_iter("gateway:*:conversation:*"):
            valkey.delete(key)
    client.chat.completions.create(
        model="claude-sonnet-5-5", messages=[*messages, _question("and now?")], tools=[TOOL]
    )
    with frozen(gateway.pids["valkey"]):
        client.chat.completions.create(
            model="claude-sonnet-5-5", messages=[*messages, _question("and frozen?")], tools=[TOOL]
        )
        until(lambda: gateway.metric("gateway_degraded", part="valkey") == 1, "it is told")
    until(lambda: gateway.metric("gateway_degraded", part="valkey") == 0, "it is well again")
    assert {record["status"] for record in simulator.requests()} == {200}


def _question(text: str) -> Any:
    return {"role": "user", "content": text}


def test_p41_a_clock_in_the_system_text_is_said_behind_the_history(
    http: httpx2.Client, simulator: Simulator
) -> None:
    messages: list[Any] = [_question("[[sim:text one]] " + "detail " * 900)]
    for minute in range(3):
        clock = f"Current time: 2026-11-25T02:1{minute}:00Z"
        system = {"role": "system", "content": f"{SYSTEM}\n{clock}\nBe kind."}
        body = {"model": "claude-haiku-5-5", "messages": [system, *messages]}
        answer = http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        messages.append(answer.json()["choices"][0]["message"])
        messages.append(_question(f"[[sim:text answer {minute}]]"))
    sent = bodies(simulator)
    assert len({str(bare(body["system"])) for body in sent}) == 1
    assert "02:12:00Z" in sent[-1]["messages"][-1]["content"][-1]["text"]


def test_p36_a_clients_own_marks_arrive_and_never_more_than_four(
    http: httpx2.Client, simulator: Simulator
) -> None:
    part = {"type": "text", "text": "context " * 2_000, "cache_control": {"type": "ephemeral"}}
    messages: list[Any] = [{"role": "user", "content": [part]}]
    for number in range(3):
        messages.append({"role": "assistant", "content": f"said {number}"})
        messages.append({"role": "user", "content": [{**part, "text": f"more {number} " * 900}]})
    body = {"model": "claude-sonnet-5-5", "messages": messages, "tools": [TOOL]}
    assert http.post("/v1/chat/completions", json=body).status_code == 200
    sent = simulator.last()
    assert marks(sent) == 4
    assert all("cache_control" in sent["messages"][number]["content"][0] for number in (0, 2, 4, 6))


def test_responses_are_read_from_the_cache_too(client: openai.OpenAI, simulator: Simulator) -> None:
    first = client.responses.create(
        model="claude-haiku-5-5", instructions=SYSTEM, input="[[sim:text a]] " + "word " * 2_000
    )
    client.responses.create(
        model="claude-haiku-5-5",
        instructions=SYSTEM,
        input="[[sim:text b]] more",
        previous_response_id=first.id,
    )
    one, other = bodies(simulator)
    assert bare(other)["messages"][: len(one["messages"])] == bare(one)["messages"]
    assert marks(other) >= 2
