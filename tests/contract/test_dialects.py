"""What Cursor sends to the chat endpoint, through the official OpenAI package and plain HTTP."""

from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from gateway import wire
from tests.contract.harness.simulator import Simulator

Json = dict[str, Any]
DIALECTS = sorted((Path(__file__).parents[1] / "golden" / "dialects").glob("*.request.json"))
PATCH = "*** Begin Patch\n*** Update File: a.py\n+x = 2\n*** End Patch"
TOOLS = [
    {
        "type": "function",
        "name": "read_file",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
    },
    {
        "type": "custom",
        "name": "ApplyPatch",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
    },
]


def post(http: httpx2.Client, **fields: Any) -> httpx2.Response:
    return http.post("/v1/chat/completions", json={"model": "MYMODEL:auto", **fields})


@pytest.mark.parametrize("case", DIALECTS, ids=lambda path: path.name.split(".")[0])
def test_p02_p03_every_dialect_is_answered_as_a_chat(
    case: Path, http: httpx2.Client, simulator: Simulator
) -> None:
    body = wire.loads_object(case.read_bytes())
    for stream in (False, True):
        response = http.post("/v1/chat/completions", json={**body, "stream": stream})
        assert response.status_code == 200, response.text
        if stream:
            assert response.text.rstrip().endswith("data: [DONE]")
            assert "chat.completion.chunk" in response.text
        else:
            assert response.json()["object"] == "chat.completion"
            assert response.json()["model"] == body["model"]
    assert [record["status"] for record in simulator.requests()] == [200, 200]


def test_p03_an_agent_of_items_runs_its_loop(http: httpx2.Client, simulator: Simulator) -> None:
    call = wire.dumps_text({"input": PATCH})
    task = f'go [[sim:tool read_file {{"path": "a.py"}}]] [[sim:tool ApplyPatch {call}]]'
    items: list[Json] = [{"role": "user", "content": [{"type": "input_text", "text": task}]}]
    instructions = "You edit files."
    fields = {"tools": TOOLS, "store": False, "instructions": instructions, "stream": False}
    response = post(http, input=items, **fields)
    assert response.status_code == 200, response.text
    (choice,) = response.json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    read, patch = choice["message"]["tool_calls"]
    assert read["function"] == {"name": "read_file", "arguments": '{"path":"a.py"}'}
    assert patch["custom"] == {"name": "ApplyPatch", "input": PATCH}
    items += [
        {"type": "function_call", "call_id": read["id"], **read["function"]},
        {"type": "custom_tool_call", "call_id": patch["id"], **patch["custom"]},
        {"type": "function_call_output", "call_id": read["id"], "output": "x = 1"},
        {"type": "custom_tool_call_output", "call_id": patch["id"], "output": "Done"},
        {"role": "user", "content": "[[sim:text finished]]"},
    ]
    response = post(http, input=items, **fields)
    assert response.status_code == 200, response.text
    assert response.json()["choices"][0]["message"]["content"] == "finished"
    sent = simulator.last()
    assert sent["system"] == [{"type": "text", "text": instructions}]
    used = [block for block in sent["messages"][1]["content"] if block["type"] == "tool_use"]
    assert [block["id"] for block in used] == [read["id"], patch["id"]]
    assert used[1]["input"] == {"input": PATCH}


def test_p03_a_custom_tool_is_streamed_as_a_tool_call(http: httpx2.Client) -> None:
    call = wire.dumps_text({"input": PATCH})
    body = {"input": f"[[sim:tool ApplyPatch {call}]]", "tools": TOOLS, "stream": True}
    lines = post(http, **body).text.split("\n\n")
    chunks = [wire.loads(line[6:]) for line in lines if line.startswith("data: {")]
    parts = [
        part
        for chunk in chunks
        for choice in chunk["choices"]
        for part in choice["delta"].get("tool_calls", [])
    ]
    assert parts[0]["function"]["name"] == "ApplyPatch"
    arguments = "".join(part["function"].get("arguments", "") for part in parts)
    assert wire.loads(arguments) == {"input": PATCH}


def test_p02_a_named_claude_model_may_speak_anthropic(client: Any, simulator: Simulator) -> None:
    completion = client.chat.completions.create(
        model="claude-opus-5-5",
        messages=[
            {"role": "user", "content": "go"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "toolu_1", "name": "ls", "input": {}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a.py"},
                    {"type": "text", "text": "[[sim:text seen]]"},
                ],
            },
        ],
        tools=[{"name": "ls", "input_schema": {"type": "object", "properties": {}}}],
        tool_choice={"type": "auto"},
        extra_body={"stop_sequences": ["END"], "output_config": {"effort": "low"}},
    )
    assert completion.choices[0].message.content == "seen"
    sent = simulator.last()
    assert sent["stop_sequences"] == ["END"]
    assert sent["output_config"]["effort"] == "low"
    assert sent["messages"][2]["content"][0]["tool_use_id"] == "toolu_1"


def test_errors_name_the_path_of_the_item(http: httpx2.Client) -> None:
    items = [{"type": "reasoning", "summary": []}, {"role": "user", "content": 5}]
    response = post(http, input=items)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "input[1].content"


def test_what_was_dropped_is_named(http: httpx2.Client) -> None:
    response = post(http, input="[[sim:text ok]]", tools=[{"type": "web_search"}], store=True)
    assert response.status_code == 200
    ignored = response.headers["x-gateway-ignored"].split(", ")
    assert {"tools.web_search", "store"} <= set(ignored)


def test_p04_words_behind_a_name_choose_the_effort(client: Any, simulator: Simulator) -> None:
    asked = "MYMODEL:claude-opus-5-5-thinking-xhigh"
    answer = client.chat.completions.with_raw_response.create(
        model=asked, messages=[{"role": "user", "content": "[[sim:text ok]]"}]
    )
    assert answer.parse().model == asked
    assert answer.headers["x-routed-model"] == "claude-opus-5-5"
    assert answer.headers["x-model-variant"] == "effort=xhigh, thinking"
    assert simulator.last()["output_config"] == {"effort": "xhigh"}
    assert client.models.retrieve(asked).id == asked


def test_words_that_mean_nothing_are_a_typing_error(client: Any) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(
            model="claude-opus-5-5-huge", messages=[{"role": "user", "content": "hi"}]
        )
