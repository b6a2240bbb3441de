"""Structured output, images, files and reasoning effort through the official OpenAI package."""

import base64
from enum import StrEnum
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from gateway import wire
from tests.contract.harness.simulator import Simulator

MODEL = "claude-sonnet-5-5"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Erk"
    "Jggg=="
)
PDF = base64.b64encode(
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]"
    b"/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
).decode()


class Grade(StrEnum):
    GOOD = "good"
    BAD = "bad"


class Step(BaseModel):
    explanation: str
    line: int | None = None


class Review(BaseModel):
    """A review with what coding agents use: lists, enums, optional fields, nested models."""

    title: str
    grade: Grade
    steps: list[Step]
    score: float
    author: str | None
    approved: bool = False


def user(*content: Any) -> list[Any]:
    return [{"role": "user", "content": content[0] if len(content) == 1 else list(content)}]


@pytest.mark.parametrize("model", [MODEL, "claude-opus-5-5", "claude-haiku-5-5", "claude-opus-4-5"])
def test_parse_gives_the_model_of_pydantic(client: Any, model: str, simulator: Simulator) -> None:
    answer = client.chat.completions.parse(
        model=model, messages=user("review it"), response_format=Review
    )
    review = answer.choices[0].message.parsed
    assert isinstance(review, Review)
    assert simulator.last()["output_config"]["format"]["type"] == "json_schema"


def test_the_stream_helper_parses_too(client: Any) -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=user("review it"), response_format=Review
    ) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Review)


def test_parse_beside_tools_gives_calls(client: Any) -> None:
    answer = client.chat.completions.parse(
        model=MODEL,
        messages=user("read notes.txt"),
        tools=[openai.pydantic_function_tool(Step, name="read_file")],
        response_format=Review,
    )
    (call,) = answer.choices[0].message.tool_calls
    assert isinstance(call.function.parsed_arguments, Step)


def test_a_loose_schema_that_does_not_fit_is_asked_for_in_words(
    client: Any, simulator: Simulator
) -> None:
    schema = {"type": "object", "properties": {"map": {"type": "object"}}, "required": ["map"]}
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL,
        messages=user("go"),
        response_format={"type": "json_schema", "json_schema": {"name": "m", "schema": schema}},
    )
    sent = simulator.last()
    if "format" not in sent.get("output_config", {}):
        assert "x-response-format" in raw.headers
        assert "map" in sent["messages"][-1]["content"][-1]["text"]
    strict = {"name": "m", "schema": schema, "strict": True}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model=MODEL,
            messages=user("go"),
            response_format={"type": "json_schema", "json_schema": strict},
        )
    assert caught.value.param == "response_format.json_schema.schema"


def test_json_mode_gives_bare_json(client: Any) -> None:
    text = '[[sim:text ```json\n{"a": 1}\n```]]'
    answer = client.chat.completions.create(
        model=MODEL, messages=user(text), response_format={"type": "json_object"}
    )
    assert wire.loads(answer.choices[0].message.content) == {"a": 1}


@pytest.mark.parametrize("url", [f"data:image/png;base64,{PIXEL}", "https://images.example/a.png"])
def test_images_reach_the_upstream(client: Any, simulator: Simulator, url: str) -> None:
    parts = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": url, "detail": "high"}},
    ]
    client.chat.completions.create(model=MODEL, messages=user(*parts))
    image = simulator.last()["messages"][0]["content"][1]
    assert image["type"] == "image"
    kind = "base64" if url.startswith("data:") else "url"
    assert image["source"]["type"] == kind
    if kind == "base64":
        assert image["source"] == {"type": "base64", "media_type": "image/png", "data": PIXEL}


def test_a_pdf_reaches_the_upstream_as_a_document(client: Any, simulator: Simulator) -> None:
    file = {"filename": "paper.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
    parts = [{"type": "file", "file": file}, {"type": "text", "text": "sum it up"}]
    client.chat.completions.create(model=MODEL, messages=user(*parts))
    document = simulator.last()["messages"][0]["content"][0]
    assert (document["type"], document["title"]) == ("document", "paper.pdf")
    assert document["source"] == {"type": "base64", "media_type": "application/pdf", "data": PDF}


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AAAA"}},
            "messages[0].content[1]",
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,@@@"}},
            "messages[0].content[1]",
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            "messages[0].content[1]",
        ),
        ({"type": "hologram"}, "messages[0].content[1]"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "messages[0].content[1]"),
    ],
)
def test_parts_that_cannot_be_sent_are_named_by_their_path(
    client: Any, part: Any, param: str, simulator: Simulator
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model=MODEL, messages=user({"type": "text", "text": "see"}, part)
        )
    assert caught.value.param is not None
    assert caught.value.param.startswith(param)
    assert simulator.requests() == []


EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize(
    "model",
    [
        MODEL,
        "claude-opus-5-5",
        "claude-haiku-5-5",
        "claude-fable-5-2",
        "claude-opus-5",
        "claude-sonnet-5",
        "claude-opus-4-8",
        "claude-opus-4-6",
        "claude-sonnet-4-6",
        "claude-opus-4-5",
        "claude-sonnet-4-5",
        "claude-haiku-4-5",
    ],
)
def test_every_effort_is_accepted_by_every_model(
    client: Any, model: str, effort: str, simulator: Simulator
) -> None:
    answer = client.chat.completions.create(
        model=model, messages=user("hi"), reasoning_effort=effort, max_tokens=3000
    )
    assert answer.choices[0].finish_reason == "stop"
    sent = simulator.last()
    assert sent["model"].startswith(model)
    config = sent.get("output_config", {})
    assert config.get("effort") in {None, "low", "medium", "high", "xhigh", "max"}
    assert len(simulator.requests()) == 1  # nothing had to be repaired


@pytest.mark.parametrize(
    "extra",
    [
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "adaptive", "display": "omitted"}},
        {"reasoning": {"effort": "high"}},
        {"reasoning": {"max_tokens": 4000}},
        {"reasoning": {"enabled": False}},
        {"reasoning": {"exclude": True}},
    ],
)
@pytest.mark.parametrize("model", [MODEL, "claude-opus-5-5", "claude-opus-4-5"])
def test_reasoning_extras_of_other_gateways_are_understood(
    client: Any, model: str, extra: Any, simulator: Simulator
) -> None:
    answer = client.chat.completions.create(model=model, messages=user("hi"), extra_body=extra)
    assert answer.choices[0].finish_reason == "stop"
    assert len(simulator.requests()) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"logprobs": True},
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
        {"reasoning_effort": "enormous"},
        {"response_format": {"type": "xml"}},
        {"service_tier": "royal"},
        {"stop": [1]},
        {"max_tokens": "many"},
        {"stream": "yes"},
        {"tools": {"a": 1}},
    ],
)
def test_what_would_lose_its_meaning_is_refused_by_name(
    client: Any, fields: Any, simulator: Simulator
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=user("hi"), extra_body=fields)
    assert caught.value.type == "invalid_request_error"
    assert (caught.value.param or "").split(".")[0].split("[")[0] in fields
    assert simulator.requests() == []
