"""Text answers through the official OpenAI package: whole, streamed, and what comes with them."""

import re
from typing import Any

import httpx2
import openai
import pytest

from tests.contract.harness.gateway import PROMPT_CANARY, UPSTREAM_KEY, Gateway
from tests.contract.harness.simulator import Simulator

MODEL = "claude-sonnet-5-5"


def ask(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}


def test_a_whole_answer_has_every_field_of_a_completion(client: Any) -> None:
    completion = client.chat.completions.create(**ask("[[sim:text Hello, wörld]]"))
    assert completion.object == "chat.completion"
    assert completion.id.startswith("chatcmpl-")
    assert completion.model == MODEL
    assert completion.created > 1_700_000_000
    (choice,) = completion.choices
    assert (choice.index, choice.finish_reason) == (0, "stop")
    assert (choice.message.role, choice.message.content) == ("assistant", "Hello, wörld")
    assert choice.message.tool_calls is None
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0


async def test_the_asynchronous_client_gets_the_same(async_client: Any) -> None:
    whole = await async_client.chat.completions.create(**ask("[[sim:text one two three]]"))
    stream = await async_client.chat.completions.create(
        **ask("[[sim:text one two three]]", stream=True)
    )
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == whole.choices[0].message.content == "one two three"


def test_a_stream_is_a_role_then_text_then_a_reason(client: Any) -> None:
    chunks = list(client.chat.completions.create(**ask("[[sim:text a b c d]]", stream=True)))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].delta.role for chunk in chunks[1:]] == [None] * (len(chunks) - 1)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "a b c d"
    reasons = [chunk.choices[0].finish_reason for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + ["stop"]
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert chunks[0].object == "chat.completion.chunk"


def test_p28_usage_comes_once_with_empty_choices_and_only_when_asked(client: Any) -> None:
    plain = list(client.chat.completions.create(**ask("[[sim:text a b]]", stream=True)))
    assert all("usage" not in chunk.model_fields_set for chunk in plain)
    asked = list(
        client.chat.completions.create(
            **ask("[[sim:text a b]]", stream=True, stream_options={"include_usage": True})
        )
    )
    *others, last = asked
    assert all(chunk.usage is None and "usage" in chunk.model_fields_set for chunk in others)
    assert last.choices == []
    assert (last.id, last.model) == (others[0].id, MODEL)
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens
    whole = client.chat.completions.create(**ask("[[sim:text a b]]"))
    assert last.usage == whole.usage


def test_the_wire_ends_with_done(http: httpx2.Client) -> None:
    response = http.post("/v1/chat/completions", json=ask("[[sim:text a b]]", stream=True))
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    events = [event for event in response.text.split("\n\n") if event]
    assert all(event.startswith(("data: ", ": ")) for event in events)
    assert events[-1] == "data: [DONE]"


@pytest.mark.parametrize("size", [1, 2, 7])
def test_p29_text_survives_any_split_of_the_upstream(client: Any, size: int) -> None:
    text = "naïve 日本語 🙂 \u2028 end"
    stream = client.chat.completions.create(
        **ask(f"[[sim:split {size}]][[sim:text {text}]]", stream=True)
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == text


def test_unknown_events_pings_and_crlf_of_the_upstream_do_no_harm(client: Any) -> None:
    text = "[[sim:unknown]][[sim:crlf]][[sim:pings count=3]][[sim:text fine]]"
    stream = client.chat.completions.create(**ask(text, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "fine"


def test_the_stream_helper_collects_the_same(client: Any) -> None:
    with client.chat.completions.stream(**ask("[[sim:text one two]]")) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == "one two"
    assert final.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_is_shown_as_reasoning(client: Any, stream: bool) -> None:
    body = ask("[[sim:thinking Let me see]][[sim:text Done]]", stream=stream)
    answer = client.chat.completions.create(**body)
    if stream:
        deltas = [chunk.choices[0].delta for chunk in answer]
        reasoning = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
        content = "".join(delta.content or "" for delta in deltas)
    else:
        reasoning = answer.choices[0].message.reasoning_content
        content = answer.choices[0].message.content
    assert (reasoning, content) == ("Let me see", "Done")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("marker", "reason"),
    [
        ("[[sim:stop max_tokens]]", "length"),
        ("[[sim:stop model_context_window_exceeded]]", "length"),
        ("[[sim:stop end_turn]]", "stop"),
        ("[[sim:stop stop_sequence sequence=END]]", "stop"),
        ("[[sim:refusal category=cyber]]", "content_filter"),
    ],
)
def test_p21_stop_reasons_have_their_counterpart(
    client: Any, marker: str, reason: str, stream: bool
) -> None:
    text = "" if "refusal" in marker else "[[sim:text words]]"
    answer = client.chat.completions.create(**ask(text + marker, stream=stream))
    if stream:
        reasons = [chunk.choices[0].finish_reason for chunk in answer]
        assert reasons[-1] == reason
        assert set(reasons[:-1]) <= {None}
    else:
        assert answer.choices[0].finish_reason == reason


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_said_in_words(client: Any, stream: bool) -> None:
    text = '[[sim:refusal category=cyber explanation="I will not"]]'
    answer = client.chat.completions.create(**ask(text, stream=stream))
    if stream:
        said = "".join(chunk.choices[0].delta.refusal or "" for chunk in answer)
    else:
        said = answer.choices[0].message.refusal
        assert answer.choices[0].message.content is None
    assert said == "I will not"


def test_p45_prompt_tokens_include_what_the_cache_wrote_and_read(
    client: Any, simulator: Simulator
) -> None:
    usage = "input_tokens=10 cache_read_input_tokens=300 cache_creation_input_tokens=20"
    answer = client.chat.completions.create(
        **ask(f"[[sim:text x]][[sim:usage {usage} output_tokens=7]]")
    )
    assert answer.usage.prompt_tokens == 330
    assert answer.usage.completion_tokens == 7
    assert answer.usage.total_tokens == 337
    assert answer.usage.prompt_tokens_details.cached_tokens == 300
    assert answer.usage.prompt_tokens_details.cache_write_tokens == 20
    assert simulator.requests()[-1]["usage"]["output_tokens"] == 7


def test_every_upstream_request_carries_the_key_of_the_settings(
    client: Any, gateway: Gateway, simulator: Simulator
) -> None:
    client.chat.completions.create(**ask(f"hello {PROMPT_CANARY}"))
    (record,) = simulator.requests()
    headers = dict(record["headers"])
    assert headers["authorization"] == "Bearer ***"
    assert record["status"] == 200  # the upstream takes one key only
    assert gateway.environment["ANTHROPIC_API_KEY"] == UPSTREAM_KEY
    assert gateway.api_key not in str(record)


def test_the_models_list_names_ids_prefixed_names_and_auto(client: Any) -> None:
    models = list(client.models.list())
    ids = [model.id for model in models]
    assert len(ids) == len(set(ids))
    assert {"auto", MODEL, f"MYMODEL:{MODEL}", "MYMODEL:auto", "claude-opus-5-5"} <= set(ids)
    assert {model.object for model in models} == {"model"}
    assert {model.owned_by for model in models} == {"anthropic"}


@pytest.mark.parametrize(
    ("asked", "served", "source", "warned"),
    [
        (MODEL, MODEL, "anthropic", False),
        ("claude-haiku-5-5", "claude-haiku-5-5", "anthropic", False),
        (f"MYMODEL:{MODEL}", MODEL, "custom", False),
        ("MYMODEL:claude-opus-5-5", "claude-opus-5-5", "custom", False),
        ("MYMODEL:auto", MODEL, "custom", False),
        ("auto", MODEL, "custom", False),
        ("gpt-4o-mini", MODEL, "custom", False),
        ("o3", MODEL, "custom", False),
        ("some-model-of-mine", MODEL, "custom", False),
        ("claude-sonnet-4-0", None, "custom", True),
        ("MYMODEL:claude-sonnet-4-0", None, "custom", True),
        ("claude-3-5-sonnet-20241022", None, "custom", True),
    ],
)
def test_p04_names_are_routed_and_echoed(
    client: Any, asked: str, served: str | None, source: str, warned: bool, simulator: Simulator
) -> None:
    raw = client.chat.completions.with_raw_response.create(**ask("hi", model=asked))
    assert raw.parse().model == asked
    routed = raw.headers["x-routed-model"]
    assert routed == simulator.last()["model"]
    assert routed == (served or routed)
    assert routed.startswith("claude-")
    assert raw.headers["x-model-source"] == source
    assert ("x-model-warning" in raw.headers) is warned
    if warned:
        assert "retired" in raw.headers["x-model-warning"]
        assert routed in raw.headers["x-model-warning"]


@pytest.mark.parametrize("asked", ["claude-sonet-5-5", "MYMODEL:claude-opus-55", "claude-gpt"])
def test_an_unknown_claude_name_is_a_typing_error(client: Any, asked: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**ask("hi", model=asked))
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    nearest = re.findall(r"claude-[a-z]+-[0-9-]+", caught.value.message.split("did you mean")[-1])
    known = {model.id for model in client.models.list()}
    assert nearest
    assert set(nearest) <= known


def test_every_answer_carries_the_headers_of_the_gateway(client: Any, gateway: Gateway) -> None:
    for stream in (False, True):
        raw = client.chat.completions.with_raw_response.create(**ask("hi", stream=stream))
        if stream:
            list(raw.parse())
        assert raw.headers["x-gateway"] == "coding-gateway"
        assert raw.headers["x-request-id"].startswith("req_")
        assert raw.headers["x-model-source"] == "anthropic"  # not the simulator: nobody said so
    with gateway.http() as http:
        assert http.get("/health").json()["simulator"] is False


def test_ignored_fields_are_named_and_never_reach_the_upstream(
    client: Any, simulator: Simulator
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        **ask(
            "hi",
            temperature=0,
            top_p=0.9,
            seed=1,
            frequency_penalty=0.5,
            presence_penalty=0,
            verbosity="low",
            metadata={"a": "b"},
            logit_bias={"1": 2},
            user="someone@example.com",
            extra_body={"top_k": 3, "provider": {"order": ["x"]}, "transforms": []},
        )
    )
    named = set(raw.headers["x-gateway-ignored"].split(", "))
    assert {"temperature", "top_p", "top_k", "seed", "frequency_penalty", "verbosity"} <= named
    assert {"logit_bias", "metadata", "provider", "transforms"} <= named
    assert not {"presence_penalty", "user", "model", "messages", "stream"} & named
    sent = simulator.last()
    assert not {"temperature", "top_p", "top_k", "seed", "provider", "verbosity"} & sent.keys()
    assert "example.com" not in str(sent)
    assert len(sent["metadata"]["user_id"]) == 64


def test_max_tokens_is_the_models_maximum_unless_the_client_says(
    client: Any, simulator: Simulator
) -> None:
    client.chat.completions.create(**ask("hi"))
    assert simulator.last()["max_tokens"] == 128_000
    client.chat.completions.create(**ask("hi", max_completion_tokens=64_000))
    assert simulator.last()["max_tokens"] == 64_000
    raw = client.chat.completions.with_raw_response.create(**ask("hi", max_tokens=256))
    assert simulator.last()["max_tokens"] == 256 + 4096
    assert raw.headers["x-thinking-reserve"] == "4096"


def test_simple_chat_answers_in_plain_fields(http: httpx2.Client) -> None:
    answer = http.post("/chat", json={"prompt": "[[sim:text plain]]", "system": "be brief"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["text"] == "plain"
    assert body["model"] == "auto"
    assert body["usage"]["total_tokens"] > 0
    refused = http.post("/chat", json={"prompt": ""})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "prompt")
