"""Several keys and addresses behind one URL: affinity, escape, fallback, hedge."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from gateway import wire
from tests.contract.harness.gateway import Gateway, api_beside
from tests.contract.harness.simulator import Simulator, running_simulator

OVERLOADED = {"error": {"type": "overloaded_error"}, "times": None}


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Simulator, Simulator]]:
    """Two upstreams, each of which takes a key of its own only."""
    with (
        running_simulator("--delta-delay", "0", "--api-key", "sk-left") as left,
        running_simulator("--delta-delay", "0", "--api-key", "sk-right") as right,
    ):
        yield left, right


@pytest.fixture
def left(pair: tuple[Simulator, Simulator]) -> Simulator:
    pair[0].forget()
    return pair[0]


@pytest.fixture
def right(pair: tuple[Simulator, Simulator]) -> Simulator:
    pair[1].forget()
    return pair[1]


Start = Callable[..., Gateway]


@pytest.fixture(scope="module")
def start(
    gateway: Gateway, contract_home: Path, pair: tuple[Simulator, Simulator]
) -> Iterator[Start]:
    """Starts an API process in front of both, once for each set of settings."""
    running: dict[str, Gateway] = {}
    with contextlib.ExitStack() as stack:

        def started(**settings: str) -> Gateway:
            name = "pair" + "".join(sorted(settings))
            if name not in running:
                upstreams = [
                    {"name": side, "base_url": simulator.base_url, "api_key": f"sk-{side}"}
                    for side, simulator in zip(("left", "right"), pair, strict=True)
                ]
                beside = api_beside(
                    gateway,
                    contract_home / name,
                    UPSTREAMS=wire.dumps(upstreams).decode(),
                    CIRCUIT_BREAKER_THRESHOLD="1000",
                    **settings,
                )
                running[name] = stack.enter_context(beside)
            return running[name]

        yield started


def ask(
    gateway: Gateway, text: str, path: str = "/v1/chat/completions", **fields: Any
) -> httpx2.Response:
    body = {
        "model": "claude-sonnet-5-5",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": text}],
        **fields,
    }
    with gateway.http() as http:
        return http.post(path, json=body)


def test_a_conversation_keeps_its_upstream_and_both_are_used(start: Start) -> None:
    gateway = start()
    served = []
    for number in range(12):
        messages = [{"role": "user", "content": f"story {number} " + "of a long way " * 20}]
        turns = []
        for _ in range(3):
            response = ask(gateway, "", messages=messages)
            assert response.status_code == 200, response.text
            turns.append(response.headers["x-upstream"])
            messages += [
                response.json()["choices"][0]["message"],
                {"role": "user", "content": "on"},
            ]
        assert len(set(turns)) == 1
        served.append(turns[0])
    assert set(served) == {"left", "right"}


@pytest.mark.parametrize("stream", [False, True])
def test_an_overloaded_upstream_is_left_for_the_other_at_once(
    start: Start, left: Simulator, right: Simulator, stream: bool
) -> None:
    left.script(OVERLOADED)
    for number in range(8):
        response = ask(start(), f"job {number} {stream}", stream=stream)
        assert response.status_code == 200
        assert response.headers["x-upstream"] == "right"
    asked = len(left.requests())
    assert 0 < asked <= 8
    assert len(right.requests()) == 8


def test_a_limited_key_rests_as_long_as_it_says(
    start: Start, left: Simulator, right: Simulator
) -> None:
    left.script({"error": {"type": "rate_limit_error", "retry_after": 20}, "times": 1})
    for number in range(24):
        assert ask(start(), f"task {number}").headers["x-upstream"] == "right" or number == 0
    # One conversation learned it; nobody else asked the limited key meanwhile.
    assert len(left.requests()) == 1
    assert len(right.requests()) == 24


def test_a_key_that_is_refused_is_no_reason_to_refuse_the_client(
    start: Start, left: Simulator, right: Simulator
) -> None:
    right.script({"error": {"type": "authentication_error"}, "times": None})
    gateway = start(RETRY_DEADLINE_SECONDS="30")
    for number in range(12):
        response = ask(gateway, f"whoever answers {number}")
        assert (response.status_code, response.headers["x-upstream"]) == (200, "left")
    assert len(right.requests()) == 1  # and it rests


def test_when_all_fail_the_true_status_is_told(
    start: Start, left: Simulator, right: Simulator
) -> None:
    for simulator in (left, right):
        simulator.script(OVERLOADED)
    refused = ask(start(), "anybody?")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert len(left.requests()) + len(right.requests()) == 3  # RETRY_MAX_ATTEMPTS over both
    with (
        anthropic.Anthropic(
            base_url=start().root_url, api_key=start().api_key, max_retries=0
        ) as sdk,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        sdk.messages.create(
            model="claude-sonnet-5-5",
            max_tokens=8,
            messages=[{"role": "user", "content": "anybody?"}],
        )
    assert caught.value.status_code == 529


def test_no_key_of_an_upstream_is_shown(start: Start) -> None:
    gateway = start()
    ask(gateway, "hi")
    with gateway.admin() as http:
        shown = http.get("/debug/config").text
    logs = "".join(path.read_text("utf-8") for path in gateway.home.rglob("*.log*"))
    for key in ("sk-left", "sk-right"):
        assert key not in shown
        assert key not in logs


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("stream", [False, True])
def test_another_model_answers_where_a_project_allows_it(
    start: Start, left: Simulator, right: Simulator, path: str, stream: bool
) -> None:
    gateway = start(MODEL_FALLBACKS="claude-opus-5-5>claude-sonnet-5-5>claude-haiku-5-5")
    for simulator in (left, right):
        for model in ("claude-opus-5-5", "claude-sonnet-5-5"):
            simulator.script({**OVERLOADED, "match": {"model": model}})
    response = ask(gateway, "a hard question", path, model="claude-opus-5-5", stream=stream)
    assert response.status_code == 200, response.text
    assert response.headers["x-routed-model"] == "claude-haiku-5-5"
    assert response.headers["x-fallback"] == "claude-sonnet-5-5: overloaded"
    with gateway.http() as http:
        refused = http.post(
            path,
            json={
                "model": "claude-opus-5-5",
                "max_tokens": 8,
                "messages": [{"role": "user", "content": "[[sim:error 400]]"}],
            },
        )
    assert refused.status_code == 400  # a fault of the request stays one


def test_without_leave_no_other_model_answers(
    start: Start, left: Simulator, right: Simulator
) -> None:
    for simulator in (left, right):
        simulator.script({**OVERLOADED, "match": {"model": "claude-opus-5-5"}})
    assert ask(start(), "a hard question", model="claude-opus-5-5").status_code == 503


def test_a_slow_beginning_is_asked_for_twice_and_the_first_answer_taken(
    start: Start, left: Simulator, right: Simulator
) -> None:
    gateway = start(HEDGE_AFTER_SECONDS="0.3")
    left.script({"delivery": {"head_delay_seconds": 20}, "times": None})
    with openai.OpenAI(
        base_url=gateway.base_url, api_key=gateway.api_key, max_retries=0, timeout=10
    ) as sdk:
        for number in range(6):
            raw = sdk.chat.completions.with_raw_response.create(
                model="claude-sonnet-5-5",
                messages=[{"role": "user", "content": f"hurry {number}"}],
            )
            assert raw.headers["x-upstream"] == "right"
    slow = left.requests()
    assert slow
    assert all(
        left.until_left(f"hurry {n}", 2) for n in range(6) if left.records_with(f"hurry {n}")
    )
