"""Tokens, requests at once and money, as clients meet their limits."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.contract.harness.gateway import Gateway, api_beside
from tests.contract.harness.processes import until

Start = Callable[..., Gateway]


@pytest.fixture(scope="module")
def start(gateway: Gateway, contract_home: Path) -> Iterator[Start]:
    """Starts an API process with limits, each in a database of Valkey of its own."""
    with ExitStack() as stack:
        numbers = iter(range(8, 16))

        def started(**settings: str) -> Gateway:
            number = next(numbers)
            return stack.enter_context(
                api_beside(
                    gateway,
                    contract_home / f"budget-{number}",
                    REDIS_URL=gateway.environment["REDIS_URL"].removesuffix("/0") + f"/{number}",
                    **settings,
                )
            )

        yield started


def body(text: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "claude-sonnet-5-5", "max_tokens": 64, "messages": messages, **fields}


def code(response: httpx2.Response) -> str:
    return str(response.json()["error"]["code"])


def test_every_answer_tells_the_limits_also_a_refusal(start: Start) -> None:
    gateway = start(RATE_LIMIT_RPM="3", RATE_LIMIT_TPM="1000000")
    with gateway.http() as http:
        first = http.post("/v1/chat/completions", json=body("hi"))
        invalid = http.post("/v1/messages", json=body("[[sim:error 400]]"))
        http.post("/v1/responses", json={"model": "auto", "input": "hi"})
        refused = http.post("/v1/chat/completions", json=body("hi"))
    assert [each.status_code for each in (first, invalid, refused)] == [200, 400, 429]
    for number, response in enumerate((first, invalid, refused)):
        headers = response.headers
        assert headers["x-ratelimit-limit"] == "3"
        assert headers["x-ratelimit-remaining"] == str((2, 1, 0)[number])
        assert 0 < int(headers["x-ratelimit-reset"]) <= 60
        assert headers["x-ratelimit-limit-requests"] == "3"
        assert headers["x-ratelimit-limit-tokens"] == "1000000"
        assert int(headers["x-ratelimit-remaining-tokens"]) < 1_000_000
        assert headers["x-ratelimit-reset-tokens"].endswith("s")
    assert 0 < int(refused.headers["retry-after-ms"]) <= 60_000


def test_tokens_a_minute_are_those_that_were_used(start: Start) -> None:
    gateway = start(RATE_LIMIT_TPM="5000")
    with gateway.http() as http:
        used = 0
        while (response := http.post("/v1/chat/completions", json=body("hi"))).status_code == 200:
            used += response.json()["usage"]["total_tokens"]
            left = int(response.headers["x-ratelimit-remaining-tokens"])
            assert 5000 - left >= used - 1
        assert (response.status_code, code(response)) == (429, "rate_limit_exceeded")
        assert "5000 tokens per minute" in response.json()["error"]["message"]
        assert 3500 < used <= 5000  # an estimate of a thousand has to find room


def test_requests_at_once_are_bounded_and_a_client_that_leaves_makes_room(start: Start) -> None:
    gateway = start(MAX_CONCURRENT_REQUESTS="2")
    slow = body("[[sim:deltas count=2000 chars=4 interval=0.05]]", stream=True)
    with gateway.http() as http, ExitStack() as streams:
        for _ in range(2):
            stream = streams.enter_context(http.stream("POST", "/v1/chat/completions", json=slow))
            assert stream.status_code == 200
        refused = http.post("/v1/messages", json=body("hi"))
        assert refused.status_code == 429
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert refused.headers["retry-after"] == "1"
        streams.close()
        until(
            lambda: http.post("/v1/chat/completions", json=body("hi")).status_code == 200,
            "those who left have made room",
            5,
        )


def test_a_budget_ends_the_day_and_no_sdk_tries_again(start: Start) -> None:
    gateway = start(BUDGET_MONTH_USD="0.02")
    with gateway.http() as http:
        # What was spent before this process began is in the database.
        costly = body("word " * 2000)

        def spent() -> bool:
            return http.post("/v1/chat/completions", json=costly).status_code == 429

        until(spent, "the budget is spent")
        refused = http.post("/v1/chat/completions", json=costly)
    assert (refused.status_code, code(refused)) == (429, "insufficient_quota")
    assert refused.headers["x-should-retry"] == "false"
    assert "0.02 US dollars a month" in refused.json()["error"]["message"]
    assert 0 < int(refused.headers["retry-after"]) <= 31 * 86_400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATE_LIMIT_TPM", "-1"),
        ("MAX_CONCURRENT_REQUESTS", "many"),
        ("BUDGET_DAY_USD", "-0.01"),
        ("BUDGET_MONTH_USD", "inf"),
    ],
)
def test_nonsense_stops_the_start(
    gateway: Gateway, contract_home: Path, name: str, value: str
) -> None:
    home = contract_home / f"nonsense-{name}"
    with (
        pytest.raises(AssertionError, match=f"{name}: "),
        api_beside(gateway, home, **{name: value}),
    ):
        pass
