"""Limits of the gateway's own: requests per minute, and the pause of a failing upstream."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.contract.harness.gateway import Gateway, api_beside
from tests.contract.harness.processes import until
from tests.contract.harness.simulator import Simulator

LIMIT = 3
THRESHOLD = 4
PAUSE_SECONDS = 1.5


def ask(text: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "claude-sonnet-5-5", "messages": messages, **fields}


@pytest.fixture(scope="module")
def strict(gateway: Gateway, contract_home: Path) -> Iterator[Gateway]:
    """An API process with a low limit, counted in a database of its own."""
    with api_beside(
        gateway,
        contract_home / "strict",
        REDIS_URL=gateway.environment["REDIS_URL"].removesuffix("/0") + "/7",
        RATE_LIMIT_RPM=str(LIMIT),
    ) as beside:
        yield beside


@pytest.fixture(scope="module")
def cautious(gateway: Gateway, contract_home: Path) -> Iterator[Gateway]:
    """An API process that soon gives a failing upstream a pause, and never tries again."""
    with api_beside(
        gateway,
        contract_home / "cautious",
        RETRY_ENABLED="0",
        CIRCUIT_BREAKER_THRESHOLD=str(THRESHOLD),
        CIRCUIT_BREAKER_TIMEOUT=str(PAUSE_SECONDS),
    ) as beside:
        yield beside


def test_requests_over_the_limit_are_429_with_the_exact_time(
    strict: Gateway, simulator: Simulator
) -> None:
    with openai.OpenAI(base_url=strict.base_url, api_key=strict.api_key, max_retries=0) as client:
        for _ in range(LIMIT):
            client.chat.completions.create(**ask("hi"))
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(**ask("hi"))
    error = caught.value
    assert (error.code, error.type) == ("rate_limit_exceeded", "rate_limit_error")
    milliseconds = int(error.response.headers["retry-after-ms"])
    assert 50_000 < milliseconds <= 60_000
    assert int(error.response.headers["retry-after"]) == -(-milliseconds // 1000)
    assert "x-should-retry" not in error.response.headers  # later it will be served
    assert len(simulator.requests()) == LIMIT
    hits = ("gateway_rate_limit_hits_total", "default")
    until(lambda: strict.metric(hits[0], project=hits[1]) == 1, "the refusal is counted")


def test_a_failing_upstream_is_given_a_pause_and_tried_again(
    cautious: Gateway, simulator: Simulator
) -> None:
    with openai.OpenAI(
        base_url=cautious.base_url, api_key=cautious.api_key, max_retries=0
    ) as client:

        def fail(text: str) -> openai.InternalServerError:
            with pytest.raises(openai.InternalServerError) as caught:
                client.chat.completions.create(**ask(text))
            return caught.value

        for _ in range(THRESHOLD):
            assert fail("[[sim:error 500]]").status_code == 502
        opened_at = time.monotonic()
        refused = fail("hi")
        assert (refused.status_code, refused.code) == (503, "circuit_open")
        assert 0 < int(refused.response.headers["retry-after-ms"]) <= PAUSE_SECONDS * 1000
        assert len(simulator.requests()) == THRESHOLD
        # Another class of models has a breaker of its own.
        assert client.chat.completions.create(**ask("hi", model="claude-haiku-5-5")).id
        until(
            lambda: cautious.metric("gateway_circuit_state", upstream="127.0.0.1/sonnet") > 0,
            "the state is shown",
        )

        def served() -> bool:
            try:
                client.chat.completions.create(**ask("[[sim:text ok]]"))
            except openai.InternalServerError:
                return False
            return True

        until(served, "it is asked again after the pause")
        assert time.monotonic() - opened_at >= PAUSE_SECONDS * 0.9
        client.chat.completions.create(**ask("hi"))


def test_refusals_of_the_request_do_not_open_the_breaker(cautious: Gateway) -> None:
    with openai.OpenAI(
        base_url=cautious.base_url, api_key=cautious.api_key, max_retries=0
    ) as client:
        for marker in ("400", "429", "413", "403"):
            for _ in range(THRESHOLD):
                with pytest.raises(openai.APIStatusError):
                    client.chat.completions.create(
                        **ask(f"[[sim:error {marker}]]", model="claude-opus-5-5")
                    )
        assert client.chat.completions.create(**ask("hi", model="claude-opus-5-5")).id
