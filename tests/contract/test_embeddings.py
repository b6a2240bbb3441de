"""Embeddings through the official OpenAI package, in front of a provider of the tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.contract.harness.gateway import Gateway, api_beside
from tests.contract.harness.processes import until
from tests.support.embedding_server import KEY, EmbeddingServer, embedding_server, until_left


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddingServer]:
    with embedding_server() as server:
        yield server


@pytest.fixture
def provider(running: EmbeddingServer) -> EmbeddingServer:
    """The provider, as good as new."""
    running.requests.clear()
    running.keys.clear()
    running.left = 0
    running.knows_base64 = running.counts = True
    return running


@pytest.fixture(scope="module")
def embedding(gateway: Gateway, contract_home: Path, running: EmbeddingServer) -> Iterator[Gateway]:
    settings = {"EMBEDDING_API_URL": running.base_url, "EMBEDDING_API_KEY": KEY}
    with api_beside(gateway, contract_home / "embedding", **settings) as beside:
        yield beside


@pytest.fixture
def sdk(embedding: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=embedding.base_url, api_key=embedding.api_key, max_retries=0
    ) as client:
        yield client


def row_of(gateway: Gateway, model: str) -> Any:
    """The usage of a model, once it is there."""

    def found() -> Any:
        rows = gateway.usage()["by_model"]
        return next((row for row in rows if row["model"] == model), None)

    return until(found, f"usage of {model}")


def test_without_a_provider_the_answer_is_501(client: Any) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.embeddings.create(model="text-embedding-3-small", input="hi")
    assert (caught.value.status_code, caught.value.code) == (501, "not_configured")


def test_a_key_is_asked_for_first(gateway: Gateway) -> None:
    with gateway.http("wrong") as http:
        assert http.post("/v1/embeddings", json={"input": "a"}).status_code == 401


def test_the_sdk_gets_vectors_by_its_own_default(
    sdk: openai.OpenAI, provider: EmbeddingServer
) -> None:
    answer = sdk.embeddings.create(model="MYMODEL:embed-3", input=["a", "bcd"])
    assert [entry.embedding for entry in answer.data] == [[1.0, 0.5, 0.5], [3.0, 0.5, 0.5]]
    assert (answer.model, answer.usage.prompt_tokens) == ("MYMODEL:embed-3", 10)
    (sent,) = provider.requests
    assert (sent["model"], sent["encoding_format"]) == ("embed-3", "base64")
    assert provider.keys == [f"Bearer {KEY}"]


def test_numbers_when_numbers_are_asked_for(sdk: openai.OpenAI, provider: EmbeddingServer) -> None:
    answer = sdk.embeddings.create(
        model="embed-3", input="abcd", encoding_format="float", dimensions=2
    )
    assert answer.data[0].embedding == [4.0, 0.5]
    assert provider.requests[0]["dimensions"] == 2


def test_a_provider_that_knows_numbers_only(sdk: openai.OpenAI, provider: EmbeddingServer) -> None:
    provider.knows_base64 = provider.counts = False
    answer = sdk.embeddings.create(model="embed-3", input="abcdefg")
    assert answer.data[0].embedding == [7.0, 0.5, 0.5]
    assert answer.usage.prompt_tokens == 2
    assert len(provider.requests) == 2


def test_tokens_are_passed_on(sdk: openai.OpenAI, provider: EmbeddingServer) -> None:
    answer = sdk.embeddings.create(model="embed-3", input=[[1, 2], [3]])
    assert len(answer.data) == 2
    assert provider.requests[0]["input"] == [[1, 2], [3]]


def test_usage_is_recorded_with_no_made_up_price(
    sdk: openai.OpenAI, provider: EmbeddingServer, embedding: Gateway
) -> None:
    sdk.embeddings.create(model="embed-usage", input=["a", "b"])
    row = row_of(embedding, "embed-usage")
    assert row["input_tokens"] == 10
    assert row["output_tokens"] == 0
    assert embedding.metric("gateway_requests_total", endpoint="/v1/embeddings", status="200") >= 1
    assert embedding.metric("gateway_unknown_price_total", model="embed-usage") >= 1


def test_one_model_can_serve_all_names(
    gateway: Gateway, contract_home: Path, provider: EmbeddingServer
) -> None:
    settings = {
        "EMBEDDING_API_URL": provider.base_url,
        "EMBEDDING_API_KEY": KEY,
        "EMBEDDING_MODEL": "own-embed",
    }
    with api_beside(gateway, contract_home / "mapped", **settings) as beside, beside.http() as http:
        response = http.post("/embeddings", json={"model": "text-embedding-3-small", "input": "a"})
    assert response.json()["model"] == "text-embedding-3-small"
    assert response.headers["x-routed-model"] == "own-embed"
    assert provider.requests[0]["model"] == "own-embed"


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ("too long", 400, "invalid_value"),
        ("garbage", 502, "upstream_error"),
        ("cut", 502, "upstream_cut"),
    ],
)
def test_failures_of_the_provider(
    sdk: openai.OpenAI, provider: EmbeddingServer, given: str, status: int, code: str
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        sdk.embeddings.create(model="embed-3", input=given)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert KEY not in caught.value.response.text


def test_a_wrong_key_of_the_gateway_is_not_the_clients(
    gateway: Gateway, contract_home: Path, provider: EmbeddingServer
) -> None:
    settings = {"EMBEDDING_API_URL": provider.base_url, "EMBEDDING_API_KEY": "sk-wrong-canary"}
    with api_beside(gateway, contract_home / "wrong", **settings) as beside, beside.http() as http:
        response = http.post("/v1/embeddings", json={"model": "e", "input": "a"})
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "upstream_auth"
    assert "sk-wrong-canary" not in response.text


def test_a_busy_provider_is_asked_again(sdk: openai.OpenAI, provider: EmbeddingServer) -> None:
    answer = sdk.embeddings.create(model="embed-3", input=["busy"])
    assert len(answer.data) == 1
    assert len(provider.requests) == 3


def test_a_client_that_leaves_takes_its_request_with_it(
    embedding: Gateway, provider: EmbeddingServer
) -> None:
    with embedding.http() as http, pytest.raises(httpx2.TimeoutException):
        http.post("/v1/embeddings", json={"model": "e", "input": "slow"}, timeout=0.5)
    assert until_left(provider, 10)


def test_bad_requests_are_refused_by_their_path(http: httpx2.Client, embedding: Gateway) -> None:
    with embedding.http() as plain:
        response = plain.post("/v1/embeddings", json={"model": "e", "input": ["a", 5]})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "input[1]"
