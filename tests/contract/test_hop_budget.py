"""What one live request asks of the other parts, counted at those parts."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
import redis

from tests.contract.harness.gateway import Gateway, frozen
from tests.contract.harness.processes import until
from tests.contract.harness.simulator import Simulator

REQUESTS = 40
TOOLS = [{"type": "function", "function": {"name": "read_file"}}]

READ_NOW_AND_THEN = ("GET gateway:routing:outcomes", "HGETALL gateway:passes:")
"""What every process reads each 30 seconds, beside all requests."""


def ask(text: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "claude-sonnet-5-5", "messages": messages, **fields}


def send(http: httpx2.Client, count: int = REQUESTS) -> list[float]:
    """Seconds of requests of all kinds; every one is answered well."""
    kinds = [ask("[[sim:text a b]]"), ask("[[sim:text a b]]", stream=True, tools=TOOLS)]
    seconds: list[float] = []
    for number in range(count):
        began = time.monotonic()
        response = http.post("/v1/chat/completions", json=kinds[number % 2])
        seconds.append(time.monotonic() - began)
        assert response.status_code == 200, response.text
    return seconds


Watchers = tuple[Any, Any]


@pytest.fixture
def valkey(gateway: Gateway) -> Iterator[Watchers]:
    """Two connections that have said their greetings: one to listen, one to speak."""
    url = gateway.environment["REDIS_URL"]
    pair = [redis.Redis.from_url(url, decode_responses=True) for _ in range(2)]
    for connection in pair:
        assert connection.ping()
    yield pair[0], pair[1]
    for connection in pair:
        connection.close()


def test_the_upstream_is_asked_once_for_each_request(
    http: httpx2.Client, simulator: Simulator
) -> None:
    before = simulator.state()["requests"]
    send(http)
    assert simulator.state()["requests"] - before == REQUESTS


def commands_during(valkey: Watchers, work: Callable[[], object]) -> list[str]:
    """Commands that clients send while `work` runs; those inside a script are not round trips."""
    seen: list[str] = []
    listening = threading.Event()

    def listen() -> None:
        with valkey[0].monitor() as monitor:
            listening.set()
            for command in monitor.listen():
                if "end-of-work" in command["command"]:
                    return
                if command["client_type"] != "lua":
                    seen.append(command["command"])

    watcher = threading.Thread(target=listen, daemon=True)
    watcher.start()
    assert listening.wait(10)
    work()
    valkey[1].echo("end-of-work")
    watcher.join(10)
    assert not watcher.is_alive()
    return seen


def awaited(commands: list[str]) -> list[str]:
    """The commands a request waits for: a SET leaves after the answer, and nobody waits for it.

    A PING is of the connection that listens to what other processes say, every five seconds.
    What is remembered of a conversation lies under all it has said, under its beginning, and for
    chats that may rewrite their history under a few places between.
    """
    of_requests = [each for each in commands if not each.startswith(READ_NOW_AND_THEN)]
    assert len(commands) - len(of_requests) < REQUESTS // 2
    verbs = [each.split()[0].upper() for each in of_requests]
    assert verbs.count("SET") <= 6 * REQUESTS
    return [verb for verb in verbs if verb not in {"SET", "PING"}]


def test_valkey_is_asked_at_most_once_for_each_request(
    valkey: Watchers, http: httpx2.Client
) -> None:
    send(http, 4)  # connections and scripts are there from now on
    commands = commands_during(valkey, lambda: send(http))
    assert awaited(commands) == ["EVALSHA"] * REQUESTS


def test_valkey_is_asked_at_most_twice_for_a_request_with_a_history(
    valkey: Watchers, http: httpx2.Client
) -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages: list[dict[str, object]] = [{"role": "user", "content": "go"}]
    for number in range(5):
        calls = [{**call, "id": f"call_{number}"}]
        messages += [
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": f"call_{number}", "content": "done"},
        ]

    def ask() -> None:
        for number in range(REQUESTS):
            changed = [{"role": "user", "content": f"go {number}"}, *messages[1:]]
            body = {"model": "claude-haiku-5-5", "messages": changed}
            assert http.post("/v1/chat/completions", json=body).status_code == 200

    verbs = awaited(commands_during(valkey, ask))
    assert verbs.count("EVALSHA") == REQUESTS
    assert verbs.count("MGET") == REQUESTS  # all turns of a history, and what is known of it
    assert len(verbs) == 2 * REQUESTS


def test_a_question_for_the_response_cache_asks_valkey_once_more(
    valkey: Watchers, http: httpx2.Client
) -> None:
    question = f"how many {time.time_ns()}"

    def ask_all() -> None:
        for number in range(REQUESTS):
            # Half of them are new, half of them are known.
            body = ask(f"{question} {number // 2}", temperature=0)
            answer = http.post("/v1/chat/completions", json=body)
            assert answer.headers["x-cache"] == ("HIT" if number % 2 else "MISS")

    send(http, 4)
    assert awaited(commands_during(valkey, ask_all)) == ["EVALSHA"] * 2 * REQUESTS


def test_postgres_and_temporal_are_never_waited_for(
    http: httpx2.Client, gateway: Gateway, simulator: Simulator
) -> None:
    before = gateway.usage()["totals"]["requests"]
    with frozen(gateway.pids["postgres"], gateway.pids["temporal"]):
        seconds = send(http)
        assert max(seconds) < 2
        assert http.get("/health/live").status_code == 200
        assert http.get("/health/ready").status_code == 200
        states = http.get("/health").json()
        assert states["status"] == "degraded"
        assert states["parts"] == {"valkey": "ok", "postgres": "down", "temporal": "down"}
    assert len(simulator.requests()) == REQUESTS
    until(
        lambda: gateway.usage()["totals"]["requests"] >= before + REQUESTS,
        "the usage of these requests is shipped afterwards",
        30,
    )


def test_reports_say_soon_that_the_database_is_away(gateway: Gateway) -> None:
    for _ in range(3):  # so that both processes have connections that will hang
        gateway.usage()
    with frozen(gateway.pids["postgres"]), gateway.admin() as admin:
        response = admin.get("/admin/usage", timeout=25)
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "service_unavailable"
    until(lambda: _reports_work(gateway), "the database answers again")


def _reports_work(gateway: Gateway) -> bool:
    with gateway.admin() as admin:
        return admin.get("/admin/usage").status_code == 200


def test_health_asks_a_silent_valkey(http: httpx2.Client, gateway: Gateway) -> None:
    with frozen(gateway.pids["valkey"]):
        assert http.get("/health").json()["parts"]["valkey"] == "down"
    until(lambda: http.get("/health").json()["status"] == "ok", "it is well again")


def test_p53_a_frozen_valkey_delays_once_and_mends_without_a_restart(
    http: httpx2.Client, gateway: Gateway
) -> None:
    pids = gateway.pids["api"]
    downs, ups = gateway.log_lines("valkey_down"), gateway.log_lines("valkey_up")
    with frozen(gateway.pids["valkey"]):
        seconds = send(http)
        assert max(seconds) < 1.5
        # Each process may find it out once; nobody waits again.
        assert sum(1 for each in seconds if each > 0.09) <= 2 * len(pids) + 4
        until(lambda: gateway.metric("gateway_degraded", part="valkey") == 1, "it is told")
        send(http)
    until(lambda: gateway.metric("gateway_degraded", part="valkey") == 0, "it is well again")
    send(http, 4)
    assert gateway.log_lines("valkey_down") - downs <= len(pids)
    assert gateway.log_lines("valkey_up") - ups <= len(pids)
