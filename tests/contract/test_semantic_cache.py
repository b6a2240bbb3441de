"""Kept answers for questions of the same meaning, behind a provider of embeddings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.contract.harness.gateway import Gateway, api_beside
from tests.contract.harness.kept_answers import TOOL, Fields, ask, asked, id_of, new_mark, text_of
from tests.contract.harness.simulator import Simulator
from tests.support.embedding_server import KEY, EmbeddingServer, embedding_server


@pytest.fixture
def mark() -> str:
    """A word that makes a question new, and by which it is found at the upstream."""
    return new_mark()


@pytest.fixture(scope="module")
def provider() -> Iterator[EmbeddingServer]:
    with embedding_server() as server:
        yield server


@pytest.fixture(scope="module")
def similar(
    gateway: Gateway, contract_home: Path, provider: EmbeddingServer
) -> Iterator[openai.OpenAI]:
    """A process with a provider and a threshold."""
    settings = {
        "EMBEDDING_API_URL": provider.base_url,
        "EMBEDDING_API_KEY": KEY,
        "EMBEDDING_MODEL": "e",
        "SEMANTIC_CACHE_THRESHOLD": "0.9",
    }
    with (
        api_beside(gateway, contract_home / "similar", **settings) as beside,
        openai.OpenAI(base_url=beside.base_url, api_key=beside.api_key, max_retries=0) as sdk,
    ):
        yield sdk


def meaning(sdk: openai.OpenAI, messages: Any, **fields: Any) -> tuple[Any, ...]:
    """X-Cache, X-Cache-Similarity and the answer."""
    body = {**ask(""), "messages": messages, **fields}
    raw: Any = sdk.chat.completions.with_raw_response.create(**body)
    headers = raw.headers
    return headers.get("x-cache"), headers.get("x-cache-similarity"), raw.parse()


def chat(mark: str, question: str) -> Any:
    return [
        {"role": "system", "content": f"You answer for {mark}."},
        {"role": "user", "content": question},
    ]


def test_a_question_of_the_same_meaning_gets_the_kept_answer(
    similar: openai.OpenAI, simulator: Simulator, mark: str
) -> None:
    simulator.script({"blocks": [{"type": "thinking"}, {"type": "text", "text": "Like this."}]})
    one, two = chat(mark, "how do i sort a list"), chat(mark, "what is the way to sort a list")
    cache, similarity, first = meaning(similar, one, temperature=None)
    assert (cache, similarity) == ("MISS", None)
    cache, similarity, again = meaning(similar, two, temperature=None)
    assert cache == "HIT"
    assert 0.9 <= float(similarity) <= 1
    assert text_of(again) == text_of(first) == "Like this."
    assert id_of(again) != id_of(first)
    # The conversation goes on without the thinking of another one.
    simulator.set(prefix_binding=True)
    said = {"role": "assistant", "content": text_of(again)}
    more = [*two, said, {"role": "user", "content": "and backwards?"}]
    assert meaning(similar, more, temperature=None)[0] is None
    sent = simulator.last()["messages"]
    assert [block["type"] for block in sent[1]["content"]] == ["text"]
    assert [record["status"] for record in simulator.requests()] == [200, 200]


@pytest.mark.parametrize(
    "other",
    [
        {"question": "how do i sort a list elsewhere"},
        {"question": "how do i sort a list of 5"},
        {"question": "how do i not sort a list"},
        {"max_tokens": 5000},
        {"model": "claude-opus-5-5"},
        {"tools": [TOOL]},
        {"user": "someone"},
    ],
)
def test_other_questions_get_no_answer_of_another(
    similar: openai.OpenAI, mark: str, other: Fields
) -> None:
    one = chat(mark, "how do i sort a list")
    assert meaning(similar, one)[0] == "MISS"
    fields = {name: value for name, value in other.items() if name != "question"}
    question = other.get("question", "how can i sort a list")
    assert meaning(similar, chat(mark, question), **fields)[0] != "HIT"


def test_held_out_conversations_get_only_answers_to_the_same(
    gateway: Gateway, contract_home: Path, provider: EmbeddingServer, mark: str
) -> None:
    settings = {
        "EMBEDDING_API_URL": provider.base_url,
        "EMBEDDING_API_KEY": KEY,
        "EMBEDDING_MODEL": "e",
        "SEMANTIC_CACHE_THRESHOLD": "0.5",
        "REDUCTION_HOLDOUT": "1",
    }
    with (
        api_beside(gateway, contract_home / mark, **settings) as beside,
        openai.OpenAI(base_url=beside.base_url, api_key=beside.api_key, max_retries=0) as sdk,
    ):
        one, two = chat(mark, "how do i sort a list"), chat(mark, "how can i sort a list")
        assert [meaning(sdk, each)[0] for each in (one, two, two)] == ["MISS", "MISS", "HIT"]


def test_without_a_provider_the_start_says_that_it_is_off(
    gateway: Gateway, contract_home: Path, mark: str
) -> None:
    home = contract_home / mark
    with api_beside(gateway, home, SEMANTIC_CACHE_THRESHOLD="0.9"):
        assert "semantic_cache_off" in (home / "api.log").read_text("utf-8")


def test_a_provider_that_is_away_costs_no_answer(
    gateway: Gateway, contract_home: Path, mark: str
) -> None:
    settings = {
        "EMBEDDING_API_URL": "http://127.0.0.1:9/v1",
        "EMBEDDING_MODEL": "e",
        "SEMANTIC_CACHE_THRESHOLD": "0.9",
    }
    with (
        api_beside(gateway, contract_home / mark, **settings) as beside,
        openai.OpenAI(base_url=beside.base_url, api_key=beside.api_key, max_retries=0) as sdk,
    ):
        assert [asked(sdk, ask(mark))[0] for _ in range(2)] == ["MISS", "HIT"]
