"""Bodies as real coding clients send them, each driven through its own loop of several turns.

`client_bodies/<client>.json`: the first request of a conversation, its headers, and under `turns`
how the client writes the turns that follow. The upstream checks everything by the API's rules.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway import wire
from tests.contract.harness.gateway import Gateway
from tests.contract.harness.simulator import Simulator

BODIES = sorted((Path(__file__).parent / "client_bodies").glob("*.json"))
MOST_TURNS = 8
Json = dict[str, Any]


def stream_answer(text: str) -> tuple[Json, str]:
    """Message and finish reason of a stream, put together as a strict client does."""
    content, reason = "", ""
    calls: dict[int, Json] = {}
    lines = [line for line in text.split("\n\n") if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]", text[-500:]
    for line in lines[:-1]:
        chunk = wire.loads(line.removeprefix("data: "))
        assert "error" not in chunk, chunk
        for choice in chunk["choices"]:
            content += choice["delta"].get("content") or ""
            reason = choice["finish_reason"] or reason
            for part in choice["delta"].get("tool_calls", ()):
                call = calls.setdefault(
                    part["index"],
                    {"id": "", "type": "function", "function": {"name": "", "arguments": ""}},
                )
                call["id"] = part.get("id") or call["id"]
                for name, piece in part["function"].items():
                    call["function"][name] += piece
    message: Json = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return message, reason


def post(http: httpx2.Client, headers: Json, body: Json) -> tuple[Json, str]:
    response = http.post("/v1/chat/completions", content=wire.dumps(body), headers=headers)
    assert response.status_code == 200, response.text
    if body.get("stream"):
        return stream_answer(response.text)
    (choice,) = response.json()["choices"]
    return choice["message"], choice["finish_reason"]


def as_sent_back(message: Json, style: str) -> Json:
    """An assistant turn in the client's own form."""
    calls = message.get("tool_calls")
    if not calls:
        return {"role": "assistant", "content": message["content"]}
    if style == "text_calls":
        text = f"{message['content'] or ''}Calling tools:\n{calls}"
        return {"role": "assistant", "content": [{"type": "text", "text": text}]}
    content = message["content"] or (None if style == "null" else "")
    return {"role": "assistant", "content": content, "tool_calls": calls}


def results(message: Json, style: str) -> list[Json]:
    """Results of all calls in the client's own form."""
    calls = message.get("tool_calls", ())
    if style == "observation":
        texts = [f"Observation:\nresult of {call['function']['name']}" for call in calls]
        return [{"role": "user", "content": [{"type": "text", "text": "\n".join(texts)}]}]
    written: list[Json] = []
    for call in calls:
        content: Any = f"result of {call['function']['name']}"
        if style.startswith("parts"):
            content = [{"type": "text", "text": content}]
        if style == "parts_cached":
            content[0]["cache_control"] = {"type": "ephemeral"}
        entry = {"role": "tool", "tool_call_id": call["id"], "content": content}
        if style == "cached":
            entry["cache_control"] = {"type": "ephemeral"}
        written.append(entry)
    return written


def without_marks(value: Any) -> Any:
    """The value without cache marks, which may move from turn to turn."""
    if isinstance(value, dict):
        return {key: without_marks(each) for key, each in value.items() if key != "cache_control"}
    return [without_marks(each) for each in value] if isinstance(value, list) else value


def moved_marks(messages: list[Json], style: str) -> None:
    """Clients that mark the end of the conversation take older marks away."""
    if style not in {"cached", "parts_cached"}:
        return
    for message in messages[2:-2]:
        message.pop("cache_control", None)
        if isinstance(message["content"], list):
            for part in message["content"]:
                part.pop("cache_control", None)


@pytest.mark.parametrize("path", BODIES, ids=[path.stem for path in BODIES])
@pytest.mark.parametrize(
    "model", ["claude-sonnet-5-5", "claude-opus-5-5", "MYMODEL:claude-haiku-5-5"]
)
def test_the_bodies_of_real_clients_are_served_in_a_loop(
    path: Path, model: str, gateway: Gateway, simulator: Simulator
) -> None:
    recorded = wire.loads(path.read_bytes())
    body, turns, headers = recorded["body"], recorded["turns"], recorded["headers"]
    body["model"] = model
    messages = body["messages"]
    _lengthen_system(messages, turns["system_chars"])
    called: list[str] = []
    is_forced = body.get("tool_choice", "auto") != "auto"
    with gateway.http() as http:
        for question in (None, turns["follow_up"]):
            if question is not None:
                messages.append({"role": "user", "content": question})
            for _ in range(2 if is_forced else MOST_TURNS):
                message, reason = post(http, headers, body)
                calls = message.get("tool_calls") or []
                assert (reason == "tool_calls") is bool(calls)
                called += [call["function"]["name"] for call in calls]
                messages.append(as_sent_back(message, turns["assistant_content"]))
                if not calls:
                    break
                messages += results(message, turns["tool_result"])
                moved_marks(messages, turns["tool_result"])
            else:  # a forced choice calls for ever: the client decides when it has enough
                assert is_forced, f"no end after {MOST_TURNS} turns: {called}"
    if turns["calls_tools"]:
        offered = {tool["function"]["name"] for tool in body["tools"]}
        assert len(called) >= 2
        assert set(called) <= offered
    _assert_upstream(simulator)


def _lengthen_system(messages: list[Json], chars: int) -> None:
    """System prompts of the recorded length: the files keep only their beginnings."""
    content = messages[0]["content"]
    rule = "\n- Keep the style of the project. Run its checks before you say that you are done."
    filler = rule * max(0, (chars - len(str(content))) // len(rule))
    if isinstance(content, str):
        messages[0]["content"] = content + filler
    else:
        content[0]["text"] += filler


def _assert_upstream(simulator: Simulator) -> None:
    """Nothing was refused, nothing had to be repeated, and each turn begins as the one before."""
    records = simulator.requests()
    assert {record["status"] for record in records} == {200}
    sent = [without_marks(record["body"]) for record in records]
    for before, after in pairwise(sent):
        assert after["tools"] == before["tools"] if "tools" in before else True
        assert after.get("system") == before.get("system")
        kept = len(before["messages"])
        if "You must call" not in str(before["messages"][-1]):  # asked for in the newest turn only
            assert after["messages"][:kept] == before["messages"]
