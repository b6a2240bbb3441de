"""Roles and contents of chat messages in the Messages form."""

import base64
from typing import Any

import pytest

from gateway.errors import InvalidRequestError
from gateway.protocols.openai_chat import translate

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(12)).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(14)).decode()
PDF = base64.b64encode(b"%PDF-1.4\n%%EOF").decode()


def translated(*messages: Any, **fields: Any) -> dict[str, Any]:
    return translate({"model": "auto", "messages": list(messages), **fields}).body


def parts(*content: Any) -> Any:
    """The blocks of one user message with these parts."""
    return translated({"role": "user", "content": list(content)})["messages"][0]["content"]


def refusal(*messages: Any, **fields: Any) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        translated(*messages, **fields)
    return caught.value


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def image(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_leading_system_and_developer_messages_become_system_blocks_in_order() -> None:
    body = translated(
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [text("two"), text(" "), text("three")]},
        {"role": "user", "content": "hi"},
    )
    assert body["system"] == [text("one"), text("two"), text("three")]
    assert body["messages"] == [{"role": "user", "content": [text("hi")]}]


def test_a_top_level_system_comes_before_the_system_messages() -> None:
    body = translated(
        {"role": "system", "content": "b"}, {"role": "user", "content": "x"}, system="a"
    )
    assert body["system"] == [text("a"), text("b")]


def test_only_system_messages_get_a_conversation_start() -> None:
    body = translated({"role": "system", "content": "be brief"})
    assert body["messages"] == [{"role": "user", "content": [text("(conversation start)")]}]


def test_assistant_text_precedes_its_calls() -> None:
    body = translated(
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "let me see",
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "ok"},
    )
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                text("let me see"),
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [text("ok")]}],
        },
    ]


def test_a_refusal_is_kept_as_text_of_the_assistant() -> None:
    for message in (
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    ):
        body = translated(
            {"role": "user", "content": "x"}, message, {"role": "user", "content": "y"}
        )
        assert body["messages"][1] == {"role": "assistant", "content": [text("no")]}


def test_echoed_reasoning_without_a_signature_is_never_sent_as_thinking() -> None:
    body = translated(
        {"role": "user", "content": "x"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "redacted_thinking", "data": "d"},
                text("a"),
            ],
            "reasoning_content": "hm",
            "reasoning": "hm",
            "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s"}],
        },
        {"role": "user", "content": "y"},
    )
    assert body["messages"][1]["content"] == [text("a")]


def test_signed_reasoning_details_come_back_as_thinking_before_the_text() -> None:
    claude = {"format": "anthropic-claude-v1"}
    body = translated(
        {"role": "user", "content": "x"},
        {
            "role": "assistant",
            "content": "a",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0, **claude},
                {"type": "reasoning.encrypted", "data": "d", "index": 1, **claude},
            ],
        },
        {"role": "user", "content": "y"},
    )
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        text("a"),
    ]


def test_a_message_of_reasoning_alone_is_no_message() -> None:
    detail = {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1"}
    body = translated(
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "reasoning_details": [detail]},
        {"role": "user", "content": "y"},
    )
    assert [message["role"] for message in body["messages"]] == ["user"]


def test_audio_and_images_of_the_assistant_do_not_fail_the_history() -> None:
    body = translated(
        {"role": "user", "content": "x"},
        {"role": "assistant", "audio": {"id": "a"}, "content": [text("see"), image("https://e/x")]},
        {"role": "user", "content": "y"},
    )
    assert body["messages"][1]["content"] == [text("see"), text("[image omitted]")]


def test_legacy_function_calls_and_results_are_paired() -> None:
    body = translated(
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "42"},
        functions=[{"name": "f", "parameters": {"type": "object", "properties": {}}}],
    )
    use = body["messages"][1]["content"][0]
    result = body["messages"][2]["content"][0]
    assert use == {"type": "tool_use", "id": "call_0", "name": "f", "input": {}}
    assert result["tool_use_id"] == "call_0"
    assert result["content"] == [text("42")]


def test_tool_content_takes_text_parts_images_nothing_and_other_json() -> None:
    def result(content: Any) -> Any:
        body = translated(
            {"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [{"id": "t", "function": {"name": "f"}}]},
            {"role": "tool", "tool_call_id": "t", "content": content},
        )
        return body["messages"][2]["content"][0].get("content")

    assert result("a") == [text("a")]
    assert result([text("a"), text("b")]) == [text("a"), text("b")]
    assert result([text("a"), image("https://e/x.png")])[1]["type"] == "image"
    assert result("") is result(None) is result([]) is result(" \n") is None
    assert result({"rows": [1, 2]}) == [text('{"rows":[1,2]}')]
    assert result([1, {"a": None}]) == [text('[1,{"a":null}]')]
    assert result([{"type": "point", "x": 1}]) == [text('[{"type":"point","x":1}]')]


def test_blocks_of_anthropics_form_are_understood() -> None:
    body = translated(
        {"role": "user", "content": [text("x")]},
        {
            "role": "assistant",
            "content": [text("a"), {"type": "tool_use", "id": "t", "name": "f", "input": {"k": 1}}],
        },
        {
            "role": "user",
            "content": [
                text("and"),
                {"type": "tool_result", "tool_use_id": "t", "content": "r", "is_error": True},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                },
            ],
        },
    )
    assert body["messages"][1]["content"][1]["input"] == {"k": 1}
    kinds = [block["type"] for block in body["messages"][2]["content"]]
    assert kinds == ["tool_result", "text", "image"]
    assert body["messages"][2]["content"][0]["is_error"] is True


def test_data_urls_become_base64_sources_of_the_type_the_bytes_show() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    assert parts(image(f"data:image/png;base64,{PNG}")) == [{"type": "image", "source": source}]
    assert parts(image(f"DATA:image/JPG;base64,{JPEG}"))[0]["source"]["media_type"] == "image/jpeg"
    assert parts(image(f"data:image/webp;base64,{PNG}"))[0]["source"]["media_type"] == "image/png"
    assert (
        parts({"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"})[0]["source"]
        == source
    )


def test_addresses_are_handed_on_unfetched() -> None:
    assert parts(image("https://example.com/a.png")) == [
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    ]


def test_base64_is_brought_into_standard_form() -> None:
    loose = PNG.rstrip("=").replace("+", "-").replace("/", "_")
    broken = loose[:8] + "\n" + loose[8:]
    assert parts(image(f"data:image/png;base64,{broken}"))[0]["source"]["data"] == PNG


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("data:image/bmp;base64,AAAA", "unsupported_image_media_type"),
        ("data:image/png;base64,A", "invalid_base64"),
        ("data:image/png;base64,AA*A", "invalid_base64"),
        ("data:image/png;base64,", "invalid_base64"),
        ("data:image/png;base64,ÄÄÄÄ", "invalid_base64"),
        ("data:image/png,AAAA", "invalid_value"),
        ("data:nothing", "invalid_value"),
        ("file:///etc/passwd", "invalid_image_url"),
        ("", "invalid_image_url"),
    ],
)
def test_images_that_cannot_be_sent_are_refused_with_their_path(url: str, code: str) -> None:
    error = refusal({"role": "user", "content": [text("a"), image(url)]})
    assert error.param == "messages[0].content[1].image_url.url"
    assert error.code == code


def test_files_become_documents_with_their_name_as_title() -> None:
    notes = base64.b64encode("grüße".encode()).decode()

    def file(data: str, name: Any = "a.pdf") -> Any:
        return {"type": "file", "file": {"file_data": data, "filename": name}}

    pdf = parts(file(f"data:application/pdf;base64,{PDF}"))[0]
    assert pdf["title"] == "a.pdf"
    assert pdf["source"] == {"type": "base64", "media_type": "application/pdf", "data": PDF}
    assert parts(file(PDF, None))[0] == {"type": "document", "source": pdf["source"]}
    plain = parts(file(f"data:text/markdown;base64,{notes}", "n.md"))[0]
    assert plain["source"] == {"type": "text", "media_type": "text/plain", "data": "grüße"}
    assert parts(file(f"data:image/png;base64,{PNG}"))[0]["type"] == "image"


@pytest.mark.parametrize(
    ("file", "param"),
    [
        ({"file_id": "file-1"}, "file.file_id"),
        ({}, "file.file_data"),
        ({"file_data": 3}, "file.file_data"),
        ({"file_data": "data:application/zip;base64,AAAA"}, "file.file_data"),
        ({"file_data": "data:application/pdf;base64,AAAA"}, "file.file_data"),
        ({"file_data": "data:text/plain;base64,/////w=="}, "file.file_data"),
        (None, "file"),
        ("x", "file"),
    ],
)
def test_files_that_cannot_be_sent_are_refused_with_their_path(file: Any, param: str) -> None:
    error = refusal({"role": "user", "content": [{"type": "file", "file": file}]})
    assert error.param == f"messages[0].content[0].{param}"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (3, "messages[0]"),
        ({"content": "x"}, "messages[0].role"),
        ({"role": "robot", "content": "x"}, "messages[0].role"),
        ({"role": ["user"], "content": "x"}, "messages[0].role"),
        ({"role": "user", "content": 3}, "messages[0].content"),
        ({"role": "user", "content": [4]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{}]}, "messages[0].content[0].type"),
        ({"role": "user", "content": [{"type": "text", "text": 1}]}, "messages[0].content[0].text"),
        ({"role": "user", "content": [{"type": "video_url"}]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{"type": "input_audio"}]}, "messages[0].content[0]"),
        ({"role": "system", "content": [image("https://e")]}, "messages[0].content[0].type"),
        ({"role": "assistant", "tool_calls": {}}, "messages[0].tool_calls"),
        ({"role": "assistant", "tool_calls": [1]}, "messages[0].tool_calls[0]"),
        ({"role": "assistant", "tool_calls": [{}]}, "messages[0].tool_calls[0].function"),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": 1}}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"role": "assistant", "function_call": "f"}, "messages[0].function_call"),
        ({"role": "tool", "tool_call_id": 1}, "messages[0].tool_call_id"),
    ],
)
def test_malformed_messages_are_refused_with_their_path(message: Any, param: str) -> None:
    error = refusal(message)
    assert error.status == 400
    assert error.param == param


def test_a_refusal_never_repeats_the_content() -> None:
    error = refusal({"role": "user", "content": [{"type": "text", "text": ["s3cret"]}]})
    assert "s3cret" not in error.message


@pytest.mark.parametrize("messages", [None, [], "hi", {}])
def test_messages_must_be_a_list_with_content(messages: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        translate({"model": "auto", "messages": messages})
    assert caught.value.param == "messages"


def test_marks_stay_on_parts_messages_and_results() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    body = translated(
        {"role": "system", "content": "s", **mark},
        {"role": "user", "content": [{**text("a"), **mark}, text("b")]},
        {"role": "assistant", "tool_calls": [{"id": "t", "function": {"name": "f"}}], **mark},
        {"role": "tool", "tool_call_id": "t", "content": [{**text("r"), **mark}]},
    )
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" in body["messages"][0]["content"][0]
    assert "cache_control" in body["messages"][1]["content"][0]
    result = body["messages"][2]["content"][0]
    assert "cache_control" in result
    assert "cache_control" not in result["content"][0]


def test_marks_on_empty_text_and_odd_marks_vanish() -> None:
    body = translated(
        {"role": "user", "content": "x"},
        {"role": "user", "content": [{**text(""), "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": "", "cache_control": {"type": "ephemeral"}},
        {"role": "user", "content": "y", "cache_control": "yes"},
        {"role": "user", "content": "z", "cache_control": {"type": "persistent"}},
    )
    assert body["messages"] == [{"role": "user", "content": [text("x"), text("y"), text("z")]}]


def test_of_many_marks_the_first_and_the_last_three_stay() -> None:
    marked = [
        {"role": "user", "content": str(number), "cache_control": {"type": "ephemeral"}}
        for number in range(7)
    ]
    blocks = translated(*marked)["messages"][0]["content"]
    assert [block["text"] for block in blocks if "cache_control" in block] == ["0", "4", "5", "6"]


def test_a_longer_lifetime_behind_a_shorter_one_is_shortened() -> None:
    body = translated(
        {"role": "system", "content": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"role": "user", "content": "a", "cache_control": {"type": "ephemeral", "ttl": "5m"}},
        {"role": "user", "content": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    )
    assert body["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    blocks = body["messages"][0]["content"]
    assert [block["cache_control"] for block in blocks] == [{"type": "ephemeral"}] * 2


def test_openais_own_breakpoints_become_marks_of_the_wished_lifetime() -> None:
    body = translated(
        {"role": "user", "content": [{**text("a"), "prompt_cache_breakpoint": {"mode": "auto"}}]},
        prompt_cache_options={"mode": "explicit", "ttl": "30m"},
    )
    block = body["messages"][0]["content"][0]
    assert block == {**text("a"), "cache_control": {"type": "ephemeral", "ttl": "1h"}}
