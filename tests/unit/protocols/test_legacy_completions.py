"""Legacy completions: the chat request of a prompt, and both forms of its answer."""

from typing import Any

import pytest

from gateway import wire
from gateway.catalog.models import load_catalog
from gateway.errors import InvalidRequestError
from gateway.protocols.legacy_completions import (
    CompletionPlan,
    completion_answer,
    read_completion,
    think_only_when_asked,
)
from gateway.protocols.legacy_completions_stream import CompletionStream
from gateway.protocols.model_fit import FitOptions, fit_to_model
from gateway.protocols.openai_chat import translate
from gateway.protocols.shared.assemble import MessageAssembler
from gateway.protocols.shared.draft import ReplyPlan
from gateway.protocols.shared.sse import SSEFramer
from tests.support.messages_stream import CREATED, block, delta, event, start, text

MODELS = load_catalog().models
OPTIONS = FitOptions(thinking_reserve_tokens=4096, show_reasoning=True)
REPLY = ReplyPlan("auto", stream=True)
REPLY_WITH_USAGE = ReplyPlan("auto", stream=True, include_usage=True)
Json = dict[str, Any]


def user_text(**fields: Any) -> str:
    messages = read_completion(fields).chat["messages"]
    assert [message["role"] for message in messages] == ["system", "user"]
    return str(messages[1]["content"])


def upstream_body(model: str, **fields: Any) -> Json:
    draft = translate(read_completion({"model": model, **fields}).chat)
    think_only_when_asked(draft)
    return fit_to_model(draft, MODELS[model], OPTIONS).body


def end(reason: str = "end_turn", tokens: int = 7) -> bytes:
    ending = event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": tokens})
    return ending + event("message_stop")


def streamed(
    data: bytes, plan: CompletionPlan, reply: ReplyPlan = REPLY
) -> tuple[CompletionStream, list[Json]]:
    """The translator after all of `data`, and its chunks; [DONE] is checked and left out."""
    translator = CompletionStream(reply, plan, CREATED, "req_1")
    out = translator.feed(SSEFramer().feed(data)).decode()
    lines = [line.removeprefix("data: ") for line in out.split("\n\n") if line.startswith("data")]
    if translator.meter.completed:
        assert lines.pop() == "[DONE]"
    return translator, [wire.loads(line) for line in lines]


def said(chunks: list[Json]) -> str:
    return "".join(choice["text"] for chunk in chunks for choice in chunk["choices"])


def whole(data: bytes, plan: CompletionPlan) -> Json:
    assembler = MessageAssembler()
    assembler.feed(SSEFramer().feed(data))
    return completion_answer(assembler.message, assembler.meter, REPLY, plan, CREATED)


def test_a_prompt_is_what_the_user_says() -> None:
    assert user_text(prompt="def f(") == "def f("
    assert user_text(prompt=["def f("]) == "def f("


def test_a_suffix_makes_a_gap_to_fill() -> None:
    gap = user_text(prompt="def f(", suffix="):\n  pass")
    assert gap == "<prefix>def f(</prefix>\n<suffix>):\n  pass</suffix>"


@pytest.mark.parametrize(
    "prompt",
    [
        "<fim_prefix>a<fim_suffix>b<fim_middle>",
        "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>\n",
        "<｜fim▁begin｜>a<｜fim▁hole｜>b<｜fim▁end｜>",
        "<PRE>a<SUF>b<MID>",
        "[SUFFIX]b[PREFIX]a",
    ],
)
def test_marks_of_models_that_fill_gaps_are_understood(prompt: str) -> None:
    assert user_text(prompt=prompt) == "<prefix>a</prefix>\n<suffix>b</suffix>"


def test_what_stands_before_the_marks_is_context() -> None:
    prompt = "<|repo_name|>r\n<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    assert user_text(prompt=prompt).startswith("<prefix><|repo_name|>r\na</prefix>")
    half = "<|fim_prefix|>a<|fim_suffix|>b"
    assert user_text(prompt=half) == half


@pytest.mark.parametrize("prompt", ["", "  \n"])
def test_an_empty_file_can_be_completed(prompt: str) -> None:
    body = upstream_body("claude-haiku-5-5", prompt=prompt)
    assert body["messages"][0]["content"][0]["text"].startswith("<prefix>")


def test_the_limit_is_the_one_openai_documents() -> None:
    assert upstream_body("claude-haiku-5-5", prompt="a")["max_tokens"] == 16
    assert upstream_body("claude-haiku-5-5", prompt="a", max_tokens=99)["max_tokens"] == 99
    assert upstream_body("claude-opus-5-5", prompt="a", max_tokens=99)["max_tokens"] == 99 + 4096


def test_nobody_waits_for_thoughts_at_the_cursor() -> None:
    body = upstream_body("claude-haiku-5-5", prompt="a")
    assert body["thinking"] == {"type": "disabled"}
    asked = upstream_body("claude-haiku-5-5", prompt="a", reasoning_effort="high")
    assert "thinking" not in asked
    assert asked["output_config"] == {"effort": "high"}


def test_stops_that_claude_takes_go_upstream_and_the_others_are_kept() -> None:
    request = read_completion({"prompt": "a", "stop": ["END", "\n\n", ""]})
    assert translate(request.chat).body["stop_sequences"] == ["END"]
    assert request.plan.blank_stops == ("\n\n",)
    assert read_completion({"prompt": "a", "stop": "\n"}).plan.blank_stops == ("\n",)


def test_fences_stay_where_the_text_has_its_own() -> None:
    assert read_completion({"prompt": "# A\n```py\n"}).plan.strip_fence is False
    assert read_completion({"prompt": "a", "suffix": "```"}).plan.strip_fence is False
    assert read_completion({"prompt": "a"}).plan.strip_fence is True


def test_fields_that_are_not_read_are_named() -> None:
    request = read_completion(
        {"prompt": "a", "messages": [{"role": "user"}], "tools": [], "min_p": 0.1, "seed": 1}
    )
    assert request.ignored == ["messages", "tools", "min_p"]
    assert "seed" in translate(request.chat).ignored


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": {}}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": [None]}, "prompt[0]"),
        ({"prompt": "a", "n": 2}, "n"),
        ({"prompt": "a", "best_of": 3}, "best_of"),
        ({"prompt": "a", "logprobs": 0}, "logprobs"),
        ({"prompt": "a", "suffix": 5}, "suffix"),
        ({"prompt": "a", "echo": 5}, "echo"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "a", "stop": ["\n", 5]}, "stop[1]"),
        ({"prompt": "a", "stream": "yes"}, "stream"),
        ({"prompt": "a", "model": 5}, "model"),
    ],
)
def test_what_cannot_be_served_is_refused_by_its_path(fields: Json, param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        translate(read_completion(fields).chat)
    assert caught.value.param == param


def test_a_stream_is_text_then_a_reason() -> None:
    translator, chunks = streamed(start() + text(0, "a", "b") + end(), CompletionPlan())
    assert [chunk["choices"][0]["text"] for chunk in chunks] == ["a", "b", ""]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
    assert {(chunk["object"], chunk["id"], chunk["model"]) for chunk in chunks} == {
        ("text_completion", "cmpl-01ABC", "auto")
    }
    assert "usage" not in chunks[0]
    assert not translator.ended_early


def test_p28_usage_comes_once_when_asked() -> None:
    _, chunks = streamed(start() + text(0, "a") + end(), CompletionPlan(), REPLY_WITH_USAGE)
    assert [chunk["usage"] is None for chunk in chunks] == [True, True, False]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 7


def test_thinking_is_not_text() -> None:
    thought = block(0, {"type": "thinking"}, delta(0, "thinking_delta", thinking="hm"))
    translator, chunks = streamed(start() + thought + text(1, "a") + end(), CompletionPlan())
    assert said(chunks) == "a"
    assert translator.meter.output_chars == 3


@pytest.mark.parametrize(
    ("plan", "pieces", "expected"),
    [
        (CompletionPlan(), ["```py", "thon\n", "a\n", "``", "`"], "a"),
        (CompletionPlan(strip_fence=False), ["```py\na\n```"], "```py\na\n```"),
        (CompletionPlan(echo="def "), ["f"], "def f"),
        (CompletionPlan(blank_stops=("\n",)), ["a b", "\nc"], "a b"),
        (CompletionPlan(), ["```\na\n```\nThat", " was a."], "a"),
    ],
)
def test_both_forms_say_the_same(plan: CompletionPlan, pieces: list[str], expected: str) -> None:
    data = start() + text(0, *pieces) + end()
    answer = whole(data, plan)
    assert said(streamed(data, plan)[1]) == answer["choices"][0]["text"] == expected
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] == 7


def test_a_stop_ends_the_stream_before_claude_does() -> None:
    plan = CompletionPlan(blank_stops=("\n",))
    data = start() + text(0, "abcdefg" * 5, "\nmore")
    translator, chunks = streamed(data, plan, REPLY_WITH_USAGE)
    assert said(chunks) == "abcdefg" * 5
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 12  # of 40 characters
    assert (translator.ended_early, translator.meter.completed) == (True, True)
    assert translator.feed([("message_stop", b"{}")]) == b""
    translator.meter.completed = False
    assert translator.meter.estimated_output_tokens == 12


@pytest.mark.parametrize(
    ("stop_reason", "reason"),
    [("max_tokens", "length"), ("stop_sequence", "stop"), ("refusal", "content_filter")],
)
def test_reasons(stop_reason: str, reason: str) -> None:
    data = start() + text(0, "a") + end(stop_reason)
    _, chunks = streamed(data, CompletionPlan())
    assert chunks[-1]["choices"][0]["finish_reason"] == reason
    assert whole(data, CompletionPlan())["choices"][0]["finish_reason"] == reason


def test_half_a_character_waits_for_its_other_half() -> None:
    halves = start() + text(0, "aHIGH", "LOWb") + end()
    halves = halves.replace(b"HIGH", rb"\ud83d").replace(b"LOW", rb"\ude00")
    assert said(streamed(halves, CompletionPlan())[1]) == "a😀b"
    alone = (start() + text(0, "aHIGH") + end()).replace(b"HIGH", rb"\ud83d")
    assert said(streamed(alone, CompletionPlan())[1]) == "a\ufffd"


def test_p24_an_end_without_a_reason_is_a_failure() -> None:
    translator, chunks = streamed(start() + text(0, "a") + event("message_stop"), CompletionPlan())
    assert translator.failure is not None
    assert not translator.meter.completed
    assert said(chunks) == "a"


def test_p23_an_error_in_the_stream_is_a_failure_and_its_event() -> None:
    error = {"type": "overloaded_error", "message": "busy"}
    data = start() + text(0, "a") + event("error", error=error)
    translator, chunks = streamed(data, CompletionPlan())
    assert said(chunks) == "a"
    assert translator.failure is not None
    last = translator.error(translator.failure)
    assert wire.loads(last.removeprefix(b"data: "))["error"]["code"] == "overloaded"
    assert b"[DONE]" not in last


def test_events_that_cannot_be_read_are_a_failure() -> None:
    for data in (text(0, "a"), start() + b"event: content_block_delta\ndata: {\n\n"):
        assert streamed(data, CompletionPlan())[0].failure is not None
    pinged, _ = streamed(start() + event("ping") + event("new_kind"), CompletionPlan())
    assert pinged.failure is None
