"""Circuits over HTTP: seen, opened and closed by an operator, for every process."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.contract.harness.gateway import Gateway, api_beside
from tests.contract.harness.processes import until
from tests.contract.harness.simulator import Simulator

BODY = {"model": "claude-opus-5-5", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def pair(gateway: Gateway, contract_home: Path) -> Iterator[tuple[Gateway, Gateway]]:
    """Two API processes of their own on the same servers."""
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(
                api_beside(
                    gateway,
                    contract_home / f"circuits-{number}",
                    REDIS_URL=gateway.environment["REDIS_URL"].removesuffix("/0") + "/6",
                    RETRY_ENABLED="0",
                    CIRCUIT_BREAKER_THRESHOLD="2",
                    CIRCUIT_BREAKER_TIMEOUT="600",
                )
            )
            for number in range(2)
        )
        yield one, two


def state(gateway: Gateway, name: str = "127.0.0.1/opus") -> str:
    with gateway.admin() as http:
        listed = http.get("/admin/circuits").json()["circuits"]
    found = [each["state"] for each in listed if each["circuit"] == name]
    return found[0] if found else "closed"


def order(gateway: Gateway, action: str, **wanted: Any) -> dict[str, Any]:
    with gateway.admin() as http:
        response = http.post(f"/admin/circuits/127.0.0.1/opus/{action}", json=wanted)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def ask(gateway: Gateway, **fields: Any) -> int:
    with gateway.http() as http:
        return http.post("/v1/chat/completions", json={**BODY, **fields}).status_code


def test_a_circuit_that_opens_in_one_process_is_open_in_the_other_and_closed_by_hand(
    pair: tuple[Gateway, Gateway], simulator: Simulator
) -> None:
    one, two = pair
    fails = [{"role": "user", "content": "[[sim:error 500]]"}]
    for _ in range(2):
        assert ask(one, messages=fails) == 502
    assert ask(one) == 503
    until(lambda: state(two) == "open", "the other process has heard", 2)
    asked = len(simulator.requests())
    assert ask(two) == 503
    assert len(simulator.requests()) == asked
    until(
        lambda: two.metric("gateway_circuit_state", upstream="127.0.0.1/opus") == 2, "it is shown"
    )
    closed = order(two, "close", reason="it was a test")
    assert (closed["state"], closed["durable"]) == ("closed", True)
    assert closed["history"][-1]["reason"] == "it was a test"
    assert closed["history"][-1]["by"] == "key bootstrap"
    until(lambda: ask(one) == 200, "the first process has heard", 2)


def test_an_operator_gives_an_upstream_a_pause(
    pair: tuple[Gateway, Gateway], simulator: Simulator
) -> None:
    one, two = pair
    opened = order(one, "open", reason="maintenance", seconds=600)
    assert opened["manual"]
    until(lambda: ask(two) == 503, "the other process has heard", 2)
    assert ask(two, model="claude-haiku-5-5") == 200
    order(two, "close")
    until(lambda: ask(one) == 200, "the first process has heard", 2)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("nobody/opus/open", {}, 404),
        ("127.0.0.1/gpt/open", {}, 404),
        ("127.0.0.1/opus/melt", {}, 400),
        ("127.0.0.1/opus/open", {"seconds": -1}, 400),
        ("127.0.0.1/opus/open", {"seconds": "soon"}, 400),
    ],
)
def test_nonsense_is_refused_with_its_reason(
    pair: tuple[Gateway, Gateway], path: str, body: dict[str, Any], status: int
) -> None:
    with pair[0].admin() as http:
        response = http.post(f"/admin/circuits/{path}", json=body)
    assert response.status_code == status, response.text
    assert response.json()["error"]["message"]


def test_circuits_are_for_administrators(gateway: Gateway) -> None:
    for key, status in (("cgw_wrong", 401),):
        with gateway.http(key) as http:
            assert http.get("/admin/circuits").status_code == status
            assert http.post("/admin/circuits/127.0.0.1/opus/open").status_code == status
