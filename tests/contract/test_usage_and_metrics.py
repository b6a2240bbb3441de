"""What a request leaves behind: usage, cost, roll-ups, metrics over several processes."""

import asyncio
import contextlib
import os
import signal
import threading
import time
from typing import Any

import httpx2
import psutil
import pytest
from temporalio.client import Client

from gateway.durable import USAGE_ROLLUP_ID, USAGE_ROLLUP_WORKFLOW, EngineAddress
from tests.contract.harness.gateway import Gateway
from tests.contract.harness.processes import until
from tests.contract.harness.simulator import Simulator
from workflows.connection import connect

MODEL = "claude-fable-5"  # no other test asks for it, so its sums are known
VISIBLE_SECONDS = 10.0
REQUESTS = 12


def ask(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}


def of_model(gateway: Gateway, model: str = MODEL) -> dict[str, Any]:
    """The row of a model in /admin/usage; empty before its first request."""
    rows = [row for row in gateway.usage()["by_model"] if row["model"] == model]
    return rows[0] if rows else {}


def test_requests_show_with_their_sums_within_ten_seconds(
    gateway: Gateway, http: httpx2.Client
) -> None:
    usage = "input_tokens=100 cache_read_input_tokens=2000 cache_creation_input_tokens=300"
    text = f"[[sim:text x]][[sim:usage {usage} output_tokens=40]]"
    before = of_model(gateway)
    for number in range(REQUESTS):
        response = http.post("/v1/chat/completions", json=ask(text, stream=number % 2 == 0))
        assert response.status_code == 200
        assert "[DONE]" in response.text or response.json()["usage"]["total_tokens"] == 2440
    answered = time.monotonic()
    until(
        lambda: of_model(gateway).get("requests", 0) >= before.get("requests", 0) + REQUESTS,
        "the requests show",
        VISIBLE_SECONDS,
    )
    assert time.monotonic() - answered < VISIBLE_SECONDS
    row = of_model(gateway)

    def grown(name: str) -> Any:
        return row[name] - before.get(name, 0)

    assert grown("requests") == REQUESTS
    assert grown("input_tokens") == 100 * REQUESTS
    assert grown("output_tokens") == 40 * REQUESTS
    assert grown("cache_read_tokens") == 2000 * REQUESTS
    assert grown("cache_write_tokens") == 300 * REQUESTS
    assert grown("errors") == grown("aborted") == 0
    dollars = (100 * 10.0 + 40 * 50.0 + 2000 * 1.0 + 300 * 12.5) / 1e6 * REQUESTS
    assert grown("cost_usd") == pytest.approx(dollars)


def test_reports_agree_with_each_other(gateway: Gateway, admin: httpx2.Client) -> None:
    def agree() -> bool:
        usage = gateway.usage()
        days = admin.get("/admin/usage/daily").json()["days"]
        costs = admin.get("/admin/costs").json()
        if costs["totals"]["requests"] != usage["totals"]["requests"]:
            return False  # a late event came between the questions
        for name in ("requests", "input_tokens", "output_tokens", "cost_usd"):
            total = usage["totals"][name]
            for rows in (usage["by_model"], usage["by_project"], days):
                assert sum(row[name] or 0 for row in rows) == pytest.approx(total)
        assert sum(row["cost_usd"] for row in costs["by_day"]) == pytest.approx(
            costs["totals"]["cost_usd"]
        )
        return True

    until(agree, "three reports of the same moment")


def test_reports_take_a_range_and_a_project(gateway: Gateway, admin: httpx2.Client) -> None:
    assert gateway.usage(project="nobody")["totals"]["requests"] == 0
    assert gateway.usage(**{"from": "2020-01-01", "to": "2020-01-02"})["totals"]["requests"] == 0
    assert gateway.usage(**{"from": "2020-01-01"})["totals"]["requests"] > 0
    for query in ({"from": "yesterday"}, {"from": "2026-02-02", "to": "2026-02-01"}):
        response = admin.get("/admin/usage", params=query)
        assert (response.status_code, response.json()["error"]["param"]) == (400, "from")


async def test_the_rollup_schedule_runs_and_changes_no_sum(gateway: Gateway) -> None:
    client = await connect(EngineAddress(gateway.environment["TEMPORAL_ADDRESS"]))
    schedule = client.get_schedule_handle(USAGE_ROLLUP_ID)
    described = await schedule.describe()
    assert described.schedule.spec.intervals[0].every.total_seconds() <= 300
    assert not described.schedule.state.paused
    before = await asyncio.to_thread(gateway.usage)
    runs = described.info.num_actions
    runs_before = await completed_runs(client)
    await schedule.trigger()
    deadline = time.monotonic() + 30
    while (await schedule.describe()).info.num_actions <= runs:
        assert time.monotonic() < deadline, "the schedule did not run"
        await asyncio.sleep(0.1)
    while not (ended := await completed_runs(client)) > runs_before:
        assert time.monotonic() < deadline, f"the roll-up did not end: {ended}"
        await asyncio.sleep(0.2)
    after = await asyncio.to_thread(gateway.usage)
    assert after["rolled_up_until"] is not None
    assert after["rolled_up_until"] >= (before["rolled_up_until"] or "")
    assert of_model_in(after) == of_model_in(before)
    assert after["rolled_up_until"] > "2026"


async def completed_runs(client: Client) -> int:
    """Roll-ups that have ended well, as the Temporal UI lists them."""
    query = f"WorkflowType = '{USAGE_ROLLUP_WORKFLOW}' and ExecutionStatus = 'Completed'"
    return (await client.count_workflows(query)).count


def of_model_in(usage: dict[str, Any]) -> dict[str, Any]:
    (row,) = [row for row in usage["by_model"] if row["model"] == MODEL]
    return {name: value for name, value in row.items() if not name.startswith("mean")}


def test_metrics_are_sums_over_both_processes(gateway: Gateway) -> None:
    labels = {"model": "claude-fable-5-1", "project": "default"}
    counted = {"status": "200", "endpoint": "/v1/chat/completions", **labels}
    before = gateway.metric("gateway_requests_total", **counted)
    spent = gateway.metric("gateway_cost_usd_total", **labels)
    body = ask("[[sim:text x]][[sim:usage input_tokens=10 output_tokens=5]]", model=labels["model"])
    for _ in range(REQUESTS):  # a connection each, so that both processes get some
        with gateway.http() as http:
            assert http.post("/v1/chat/completions", json=body).status_code == 200
    until(
        lambda: gateway.metric("gateway_requests_total", **counted) == before + REQUESTS,
        "both processes have published",
    )
    cost = spent + REQUESTS * (10 * 10 + 5 * 50) / 1e6
    assert gateway.metric("gateway_cost_usd_total", **labels) == pytest.approx(cost)
    assert gateway.metric("gateway_tokens_total", type="output", **labels) >= 5 * REQUESTS
    latency = "gateway_request_latency_seconds_count"
    assert gateway.metric(latency, model=labels["model"]) >= REQUESTS


def test_counters_never_go_back_whichever_process_is_asked(gateway: Gateway) -> None:
    seen = [0.0]
    for _ in range(30):  # a counter that falls looks like a restart, and rates jump
        with gateway.http() as http:
            assert http.post("/v1/chat/completions", json=ask("[[sim:text x]]")).status_code == 200
        seen.append(gateway.metric("gateway_requests_total", endpoint="/v1/chat/completions"))
    assert seen == sorted(seen)


def test_every_series_of_the_original_is_there(gateway: Gateway, http: httpx2.Client) -> None:
    assert http.post("/v1/chat/completions", json=ask("[[sim:error 400]]")).status_code == 400
    until(lambda: gateway.metric("gateway_upstream_errors_total", model=MODEL), "it is counted")
    names = {name for name, _ in gateway.metrics()}
    for name in (
        "gateway_requests_total",
        "gateway_request_latency_seconds_bucket",
        "gateway_tokens_total",
        "gateway_cost_usd_total",
        "gateway_active_requests",
        "gateway_circuit_state",
        "gateway_stream_duration_seconds_bucket",
        "gateway_upstream_errors_total",
    ):
        assert name in names
    with gateway.admin() as admin:
        text = admin.get("/admin/metrics").text
    for name in ("gateway_cache_hits_total", "gateway_rate_limit_hits_total"):
        assert f"# TYPE {name}" in text or f"# TYPE {name.removesuffix('_total')}" in text


def test_the_counters_of_a_killed_process_stay_and_its_gauges_go(
    gateway: Gateway, simulator: Simulator
) -> None:
    model = "claude-mythos-5"
    body = ask("[[sim:deltas count=160 chars=5 interval=0.05]]", model=model, stream=True)
    outcomes: list[str] = []

    def read() -> None:
        with gateway.http() as http:
            try:
                text = http.post("/v1/chat/completions", json=body).text
            except httpx2.TransportError:
                outcomes.append("cut")
            else:
                outcomes.append("whole" if "[DONE]" in text else "cut")

    readers = [threading.Thread(target=read, daemon=True) for _ in range(8)]
    for reader in readers:
        reader.start()
    active = "gateway_active_requests"
    until(lambda: gateway.metric(active, model=model) == 8, "all streams are counted")
    before = gateway.metric("gateway_requests_total", model="claude-fable-5-1")
    killed = gateway.pids["api"][0]
    os.kill(killed, signal.SIGKILL)
    until(lambda: gateway.metric("gateway_active_requests", model=model) < 9, "it is published")
    deadline = time.monotonic() + 20
    while gateway.metric(active, model=model) != sum(1 for each in readers if each.is_alive()):
        assert time.monotonic() < deadline, "the gauge does not follow"
        time.sleep(0.2)
    assert gateway.metric("gateway_requests_total", model="claude-fable-5-1") == before
    until(lambda: simulator.state()["streams_open"] <= 8, "the upstream knows")
    for reader in readers:
        reader.join(40)
    assert len(outcomes) == 8
    until(lambda: gateway.metric(active, model=model) == 0, "nothing stays active")
    until(lambda: of_model(gateway, model).get("requests") == 8, "each has its usage", 20)
    assert of_model(gateway, model)["aborted"] == outcomes.count("cut")
    _replace_pid(gateway, killed)


def _replace_pid(gateway: Gateway, killed: int) -> None:
    """Later tests look for the processes that run."""

    def running() -> list[int]:
        pids = _api_pids(gateway)
        return pids if len(pids) == len(gateway.pids["api"]) and killed not in pids else []

    gateway.pids["api"][:] = until(running, "the supervisor starts another")


def _api_pids(gateway: Gateway) -> list[int]:
    found: list[int] = []
    for child in psutil.Process(gateway.pids["supervisor"]).children():
        with contextlib.suppress(psutil.Error):
            if "api.server" in child.cmdline():
                found.append(child.pid)
    return found
