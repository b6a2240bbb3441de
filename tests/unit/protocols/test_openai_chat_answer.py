"""Whole chat completions from Messages streams."""

from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from gateway import wire
from gateway.structs import replace
from gateway.wire import JSONObject
from tests.support.messages_stream import (
    CREATED,
    PLAN,
    block,
    content,
    delta,
    end,
    openai_sdk,
    start,
    text,
    thinking,
    tool,
    translate,
    whole_answer,
)


def reply(stream: bytes, **plan: Any) -> JSONObject:
    message: JSONObject = whole_answer(stream, replace(PLAN, **plan))["choices"][0]["message"]
    return message


def test_a_plain_answer_is_complete() -> None:
    script = start(cache_read_input_tokens=90) + text(0, "Hello ", "世界") + end()
    assert whole_answer(script) == {
        "id": "chatcmpl-01ABC",
        "object": "chat.completion",
        "created": CREATED,
        "model": "gpt-5",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello 世界", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 90, "cache_write_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        "system_fingerprint": None,
    }


def test_calls_alone_have_null_content() -> None:
    message = reply(start() + tool(0, "read", '{"path": "ü"}') + tool(1, "list") + end("tool_use"))
    assert message["content"] is None
    assert message["tool_calls"] == [
        {
            "id": "toolu_0",
            "type": "function",
            "function": {"name": "read", "arguments": '{"path":"ü"}'},
        },
        {"id": "toolu_1", "type": "function", "function": {"name": "list", "arguments": "{}"}},
    ]


def test_an_empty_answer_has_empty_content() -> None:
    message = reply(start() + end())
    assert message == {"role": "assistant", "content": "", "refusal": None}


def test_text_is_set_apart_as_in_a_stream() -> None:
    script = start() + text(0, "a") + tool(1, "t") + text(2, "") + text(3, "b") + text(4, "c\n")
    script += thinking(5, "x") + text(6, "d") + end("tool_use")
    assert reply(script)["content"] == "a\n\nbc\nd" == content(translate(script)[0])


def test_reasoning_is_joined_and_signed() -> None:
    script = start() + thinking(0, "one") + thinking(1) + tool(2, "t") + thinking(3, "two")
    script += block(4, {"type": "redacted_thinking", "data": "ZW5j"}) + end("tool_use")
    message = reply(script)
    assert message["reasoning_content"] == message["reasoning"] == "one\n\ntwo"
    assert [detail["index"] for detail in message["reasoning_details"]] == [0, 1, 2, 3]
    assert [detail.get("text") for detail in message["reasoning_details"]] == [
        "one",
        "",
        "two",
        None,
    ]
    assert "reasoning" not in reply(script, show_reasoning=False)
    assert "reasoning_details" not in reply(script, show_reasoning=False)


def test_names_wrapping_and_custom_tools_are_undone() -> None:
    script = start() + tool(0, "a_b", "{}") + tool(1, "w", '{"value": [1]}')
    script += tool(2, "c", '{"input": "raw\\ntext"}') + end("tool_use")
    calls = reply(
        script,
        original_tool_names={"a_b": "a.b", "c": "c.d"},
        wrapped_tools=frozenset({"w"}),
        custom_tools=frozenset({"c"}),
    )["tool_calls"]
    assert calls[0]["function"]["name"] == "a.b"
    assert calls[1]["function"]["arguments"] == "[1]"
    assert calls[2] == {
        "id": "toolu_2",
        "type": "custom",
        "custom": {"name": "c.d", "input": "raw\ntext"},
    }


def test_a_custom_call_without_its_field_keeps_its_json() -> None:
    script = start() + tool(0, "c", '{"patch": 1}') + end("tool_use")
    calls = reply(script, custom_tools=frozenset({"c"}))["tool_calls"]
    assert calls[0]["custom"]["input"] == '{"patch":1}'


def test_legacy_functions_get_a_function_call() -> None:
    script = start() + tool(0, "f", '{"a": 1}') + tool(1, "g") + end("tool_use")
    choice = whole_answer(script, replace(PLAN, legacy_functions=True))["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"


def test_a_refusal_discards_what_was_written() -> None:
    details = {"type": "refusal", "category": None, "explanation": None}
    script = start() + text(0, "Step one:") + tool(1, "t", "{}")
    choice = whole_answer(script + end("refusal", stop_details=details))["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"]["content"] is None
    assert "tool_calls" not in choice["message"]
    assert "declined" in choice["message"]["refusal"]


@pytest.mark.parametrize(
    "written",
    [
        '```json\n{"a": 1}\n```',
        '```\n{"a": 1}\n```\n',
        'Here it is:\n```json\n{"a": 1}\n```\nEnjoy.',
        '{"a": 1}',
    ],
)
def test_json_mode_takes_off_the_fence(written: str) -> None:
    script = start() + text(0, written) + end()
    assert reply(script, json_mode="object")["content"] == '{"a": 1}'
    assert reply(script)["content"] == written


@pytest.mark.parametrize(
    "written",
    [
        '{"a": "```json\\n1\\n```"}',
        "```json\n{oops\n```",
        "```\n1\n```\n```\n2\n```",
        '```json\n{"a"',
    ],
)
def test_json_mode_leaves_alone_what_is_json_or_unclear(written: str) -> None:
    assert reply(start() + text(0, written) + end(), json_mode="object")["content"] == written


def test_web_citations_become_annotations() -> None:
    citation = {"type": "web_search_result_location", "url": "https://a", "title": "A"}
    cited = block(
        1,
        {"type": "text", "text": "", "citations": None},
        delta(1, "text_delta", text="one"),
        delta(1, "citations_delta", citation=citation),
    )
    assert reply(start() + text(0, "Hm ") + cited + end())["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {"url": "https://a", "title": "A", "start_index": 3, "end_index": 6},
        }
    ]


def test_server_tools_are_not_the_clients_calls() -> None:
    search = block(
        0,
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        delta(0, "input_json_delta", partial_json='{"query": "x"}'),
    )
    choice = whole_answer(start() + search + text(1, "So.") + end())["choices"][0]
    assert choice["message"]["content"] == "So."
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"


def test_service_tier_is_told_only_to_who_asked() -> None:
    script = start(service_tier="priority") + text(0, "a") + end()
    assert "service_tier" not in whole_answer(script)
    assert whole_answer(script, replace(PLAN, echo_service_tier=True))["service_tier"] == "priority"
    batch = start(service_tier="batch") + text(0, "a") + end()
    assert "service_tier" not in whole_answer(batch, replace(PLAN, echo_service_tier=True))


def test_the_sdk_type_takes_every_kind_of_answer() -> None:
    script = start() + thinking(0, "x") + text(1, "a") + tool(2, "t") + tool(3, "c", '{"input":""}')
    body = whole_answer(script + end("tool_use"), replace(PLAN, custom_tools=frozenset({"c"})))
    completion = ChatCompletion.model_validate(body)
    calls = completion.choices[0].message.tool_calls or []
    assert [call.type for call in calls] == ["function", "custom"]


async def test_the_official_client_reads_the_answer() -> None:
    body = wire.dumps(whole_answer(start() + text(0, "Hi") + end()))
    async with openai_sdk(body) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="gpt-5", messages=[{"role": "user", "content": "hi"}]
        )
    assert wire.loads(raw.content) == wire.loads(body)
