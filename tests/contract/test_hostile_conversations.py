"""Clients at their worst, with every pass on: the upstream refuses nothing, and nobody sees a 500.

They edit, drop, shorten and fork their history, make new ids for its calls, change tools, models
and system texts, carry thinking or not, and send texts that look like the gateway's own notation.
The simulator binds thinking to the conversation it was made in, as the API does.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from gateway import wire
from tests.contract.harness.gateway import Gateway, api_beside
from tests.contract.harness.simulator import Simulator
from tests.support.hostile_client import HostileClient

SEEDS = 12
STEPS = 14
SETTINGS = {
    "BENCH_CLOCK": "1",
    "CONTEXT_MAX_TOKENS": "8000",
    "ENABLE_COLD_COMPACTION": "1",
    "ENABLE_CONTEXT_PRUNING": "1",
    "REFERENCES_AGENT": "runs",
    "REDUCTION_HOLDOUT": "0.05",
    "RESPONSE_CACHE": "off",
    "SYSTEM_MAX_CHARS": "2500",
    "TOOL_RESULT_MAX_CHARS": "3000",
    "USER_MSG_MAX_CHARS": "4000",
}


@pytest.fixture(scope="module", params=["0", "1"], ids=["passes", "append_log"])
def hostile(
    request: pytest.FixtureRequest, gateway: Gateway, contract_home: Path
) -> Iterator[httpx2.Client]:
    settings = {**SETTINGS, "ENABLE_APPEND_LOG": request.param}
    home = contract_home / f"hostile-{request.param}"
    with api_beside(gateway, home, **settings) as beside, beside.http() as http:
        yield http


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_a_client_does_is_legal(
    seed: int, hostile: httpx2.Client, simulator: Simulator
) -> None:
    simulator.set(prefix_binding=True)
    client = HostileClient(seed)
    for _ in range(STEPS):
        client.disturb()
        simulator.script(client.script())
        headers = {"x-bench-time": str(client.now)}
        if client.key is not None:
            headers["x-session-id"] = client.key
        # Half a character, as streams that were split inside an emoji hold it.
        body = wire.dumps(client.body()).replace("\ufffd".encode(), b"\\ud83d")
        answer = hostile.post("/v1/chat/completions", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        client.take(answer.json()["choices"][0]["message"])
        simulator.call("DELETE", "scripts")
    if not client.has_carried:  # such thinking goes on trust, and is taken out when refused
        assert {each["status"] for each in simulator.requests()} == {200}
