"""What a request saved shows in /admin/savings, with its sums, and nothing that was not billed."""

from typing import Any

import httpx2
import pytest

from tests.contract.harness.gateway import Gateway
from tests.contract.harness.processes import steady, until

VISIBLE_SECONDS = 10.0
REQUESTS = 4
# So many tokens that the few characters the gateway may add or leave out do not show.
USAGE = "input_tokens=100000 cache_read_input_tokens=2000000 cache_creation_input_tokens=300000"
PROMPT = 2_400_000
BILLED = (100_000 * 2 + 2_000_000 * 0.1 + 300_000 * 2.5) / 1e6
BASELINE = PROMPT * 2 / 1e6


def ask(text: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "claude-sonnet-5-5", "messages": messages, "max_tokens": 100}


def savings(admin: httpx2.Client, **query: str) -> dict[str, Any]:
    response = admin.get("/admin/savings", params=query)
    assert response.status_code == 200, response.text
    report: dict[str, Any] = response.json()
    return report


def of_client(admin: httpx2.Client, client: str) -> dict[str, Any]:
    """The row of a client; empty before its first request."""
    rows = [row for row in savings(admin, group="client")["by_client"] if row["client"] == client]
    return rows[0] if rows else {}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat"])
def test_a_request_shows_within_ten_seconds(
    gateway: Gateway, admin: httpx2.Client, path: str
) -> None:
    name = "saver-" + path.rpartition("/")[2]
    text = f"[[sim:text x]][[sim:usage {USAGE} output_tokens=5]]"
    body = ask(text) if path != "/chat" else {"prompt": text, "model": "claude-sonnet-5-5"}
    with gateway.http() as http:
        for _ in range(REQUESTS):
            answer = http.post(path, json=body, headers={"user-agent": f"{name}/1.0"})
            assert answer.status_code == 200, answer.text
    until(
        lambda: of_client(admin, name).get("measured_requests") == REQUESTS,
        "the requests show",
        VISIBLE_SECONDS,
    )
    row = of_client(admin, name)
    assert row["requests"] == REQUESTS
    assert row["measured_prompt_tokens"] == PROMPT * REQUESTS
    assert row["billed_input_usd"] == pytest.approx(BILLED * REQUESTS)
    assert row["baseline_input_usd"] == pytest.approx(BASELINE * REQUESTS, rel=0.005)
    assert row["saved_usd"] == pytest.approx(row["baseline_input_usd"] - row["billed_input_usd"])
    assert row["saved_share"] == pytest.approx(1 - BILLED / BASELINE, rel=0.01)


def test_messages_stand_apart_and_owe_us_nothing(gateway: Gateway, admin: httpx2.Client) -> None:
    before = savings(admin)["messages"]
    with gateway.http() as http:
        body = ask(f"[[sim:text x]][[sim:usage {USAGE}]]")
        answer = http.post("/v1/messages", json=body, headers={"user-agent": "apart/1.0"})
        assert answer.status_code == 200, answer.text
    until(
        lambda: savings(admin)["messages"]["measured_requests"] > before["measured_requests"],
        "it shows",
        VISIBLE_SECONDS,
    )
    after = savings(admin)["messages"]
    grown = after["billed_input_usd"] - (before["billed_input_usd"] or 0)
    assert grown == pytest.approx(BILLED, rel=0.01)
    assert after["saved_usd"] == pytest.approx(before["saved_usd"] or 0, abs=1e-6)
    assert of_client(admin, "apart") == {}


def test_a_request_that_failed_claims_nothing(gateway: Gateway, admin: httpx2.Client) -> None:
    with gateway.http() as http:
        body = ask("[[sim:error 400]]")
        answer = http.post("/v1/chat/completions", json=body, headers={"user-agent": "bad/1.0"})
        assert answer.status_code == 400
    until(lambda: of_client(admin, "bad"), "it shows", VISIBLE_SECONDS)
    row = of_client(admin, "bad")
    assert (row["requests"], row["measured_requests"]) == (1, 0)
    assert row["baseline_input_usd"] is row["billed_input_usd"] is row["saved_usd"] is None


def test_sums_agree_and_go_into_the_metrics(gateway: Gateway, admin: httpx2.Client) -> None:
    report = savings(admin)
    total = report["totals"]["saved_usd"]
    for axis in ("project", "client", "day", "technique"):
        rows = report[f"by_{axis}"]
        assert sum(row["saved_usd"] or 0 for row in rows) == pytest.approx(total, abs=1e-6)
    # What the tests before have sent is published within a second or two, not at once.
    reads = steady(lambda: gateway.metric("gateway_cache_tokens_total", kind="read"))
    before = gateway.metric("gateway_input_billed_usd_total", project="default")
    for _ in range(REQUESTS):  # a connection each, so that both processes get some
        with gateway.http() as http:
            body = ask(f"[[sim:text x]][[sim:usage {USAGE}]]")
            assert http.post("/v1/chat/completions", json=body).status_code == 200
    until(
        lambda: (
            gateway.metric("gateway_cache_tokens_total", kind="read")
            == reads + 2_000_000 * REQUESTS
        ),
        "both processes have published",
    )
    billed = gateway.metric("gateway_input_billed_usd_total", project="default") - before
    assert billed == pytest.approx(BILLED * REQUESTS)
    assert gateway.metric("gateway_input_baseline_usd_total", project="default") > billed


def test_only_what_exists_can_be_asked_for(gateway: Gateway, admin: httpx2.Client) -> None:
    for query in ({"group": "moon"}, {"from": "yesterday"}):
        response = admin.get("/admin/savings", params=query)
        assert response.status_code == 400
        assert response.json()["error"]["param"] == next(iter(query))
    with gateway.http() as http:
        assert http.get("/admin/savings").status_code == 403
