"""Embeddings: what goes to the provider, and its answer in the form the client asked for."""

import base64
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import wire
from gateway.errors import InvalidRequestError, UpstreamError
from gateway.protocols.openai_embeddings import (
    EmbeddingRequest,
    embedding_answer,
    provider_error,
    read_embedding,
    without_encoding,
)

Json = dict[str, Any]
PREFIX = "MYMODEL:"


def read(served: str | None = None, /, **fields: Any) -> EmbeddingRequest:
    return read_embedding({"model": "embed-3", "input": "hi", **fields}, PREFIX, served)


def answer(*vectors: Any, **fields: Any) -> Json:
    data = [{"embedding": vector} for vector in vectors]
    return {"data": data, "usage": {"prompt_tokens": 2, "total_tokens": 2}, **fields}


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def test_names_are_mapped() -> None:
    assert read_embedding({"model": "MYMODEL:e", "input": "a"}, PREFIX, None).body["model"] == "e"
    assert read("own").body["model"] == "own"
    assert read("own").asked_model == "embed-3"
    assert read_embedding({"input": "a"}, PREFIX, "own").asked_model == "own"


def test_fields_pass_and_people_do_not() -> None:
    body = read(dimensions=8, encoding_format=None, user="me@example.com", input_type="query").body
    assert body["input_type"] == "query"
    assert body["dimensions"] == 8
    assert "encoding_format" not in body
    assert "me@example.com" not in wire.dumps_text(body)
    assert without_encoding(read(encoding_format="base64").body) == read().body


@pytest.mark.parametrize(
    ("given", "tokens"),
    [
        ("a" * 35, 10),
        (["a" * 35, "b"], 11),
        ([1, 2, 3], 3),
        ([[1, 2], [3]], 3),
    ],
)
def test_inputs_of_all_kinds_pass(given: Any, tokens: int) -> None:
    request = read(input=given)
    assert (request.body["input"], request.estimated_tokens) == (given, tokens)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": ""}, "input[0]"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", 5]}, "input[1]"),
        ({"input": [[]]}, "input[0]"),
        ({"input": [[1, "a"]]}, "input[0]"),
        ({"input": [True]}, "input[0]"),
        ({"input": ["a"] * 2049}, "input"),
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"model": "MYMODEL:"}, "model"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"user": 5}, "user"),
    ],
)
def test_what_is_no_request_is_refused_by_its_path(fields: Json, param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(**fields)
    assert caught.value.param == param


def test_the_client_gets_the_form_it_asked_for() -> None:
    numbers, text = [1.0, -0.5], packed(1.0, -0.5)
    for said in (answer(numbers), answer(text)):
        assert embedding_answer(said, read())["data"][0]["embedding"] == numbers
        in_base64 = embedding_answer(said, read(encoding_format="base64"))
        assert in_base64["data"][0]["embedding"] == text


def test_what_a_provider_leaves_out_is_filled_in() -> None:
    said = answer([1.0], [2.0], usage=None)
    made = embedding_answer(said, read(input=["a" * 35, "b"]))
    assert [entry["index"] for entry in made["data"]] == [0, 1]
    assert made["usage"] == {"prompt_tokens": 11, "total_tokens": 11}
    assert made["model"] == "embed-3"
    half = embedding_answer(answer([1.0], usage={"total_tokens": 4}), read())
    assert half["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {"data": {}},
        {"data": [5]},
        {"data": [{"embedding": None}]},
        {"data": [{"embedding": ["a"]}]},
        {"data": [{"embedding": [1e300]}]},
    ],
)
def test_what_is_no_answer_is_a_failure_of_the_provider(said: Any) -> None:
    with pytest.raises(UpstreamError):
        embedding_answer(said, read(encoding_format="base64"))


@pytest.mark.parametrize("packed_wrong", ["!", "AAA=", "AAAAAAA="])
def test_base64_of_no_floats_is_a_failure_of_the_provider(packed_wrong: str) -> None:
    with pytest.raises(UpstreamError):
        embedding_answer(answer(packed_wrong), read())


@settings(max_examples=100)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20))
def test_both_forms_hold_the_same_numbers(numbers: list[float]) -> None:
    in_base64 = embedding_answer(answer(numbers), read(encoding_format="base64"))
    back = embedding_answer(answer(in_base64["data"][0]["embedding"]), read())
    assert back["data"][0]["embedding"] == numbers


@pytest.mark.parametrize(
    ("status", "shown", "code", "retryable"),
    [
        (400, 400, "invalid_value", False),
        (401, 502, "upstream_auth", False),
        (403, 502, "upstream_auth", False),
        (404, 404, "not_found", False),
        (429, 429, "rate_limit_exceeded", True),
        (500, 502, "upstream_error", True),
        (503, 503, "upstream_unavailable", True),
    ],
)
def test_errors_of_the_provider(status: int, shown: int, code: str, retryable: bool) -> None:
    body = wire.dumps({"error": {"message": "said sk-abcdefgh", "type": "some_error"}})
    error = provider_error(status, {"Retry-After": "3"}, body)
    assert (error.status, error.code, error.retryable) == (shown, code, retryable)
    assert error.retry_after_seconds == 3
    assert "sk-abcdefgh" not in error.message
    assert ("said" in error.message) is (status not in (401, 403))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":{}}', b'{"error":5}'])
def test_errors_without_words_name_their_status(body: bytes) -> None:
    assert provider_error(500, {}, body).message.endswith("status 500")
    assert "Claude" not in provider_error(418, {}, body).message


@pytest.mark.parametrize(
    "body", [{"error": "why"}, {"message": "why"}, {"detail": "why"}, {"error": {"message": "why"}}]
)
def test_words_are_found_in_the_forms_providers_use(body: Json) -> None:
    assert provider_error(500, {}, wire.dumps(body)).message == "why"
