"""P-59: secrets and prompts stay where they belong. Runs last: it looks at all the tests left."""

import secrets
import socket
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway import wire
from tests.contract.harness.gateway import (
    PROMPT_CANARY,
    UPSTREAM_KEY,
    Gateway,
    text_of_files,
)
from tests.contract.harness.processes import until
from tests.contract.harness.simulator import Simulator

CHAT = "/v1/chat/completions"


def ask(text: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "claude-sonnet-5-5", "messages": messages, **fields}


@pytest.fixture(scope="module")
def wrong_key() -> str:
    """A key nobody knows, which may be somebody's real key for something else."""
    return f"sk-canary-client-{secrets.token_hex(8)}"


@pytest.fixture(scope="module")
def failures(gateway: Gateway, wrong_key: str, upstream: Simulator) -> list[str]:
    """Error bodies and headers of every way to fail with a secret in the request."""
    upstream.forget()
    secret = f"{PROMPT_CANARY} password={PROMPT_CANARY}"
    leaking = f"bad key {UPSTREAM_KEY} for org-canary at http://127.0.0.1:1/internal"
    markers = [f"[[sim:error {status}]]" for status in (400, 401, 403, 404, 413, 429, 500, 529)]
    markers += [
        f'[[sim:error 401 message="{leaking}"]]',
        f'[[sim:error 400 message="{leaking}"]]',
        f'[[sim:error 500 message="{leaking}"]]',
        "[[sim:text a b c d e f]][[sim:error 529 after=5]]",
        "[[sim:text a b c d e f]][[sim:cut events=5]]",
        "[[sim:malformed events=2]]",
        "[[sim:head 0.1]]",
    ]
    bodies: list[Any] = [
        ask(f"{secret} {marker}", stream=stream) for marker in markers for stream in (False, True)
    ]
    bodies += [
        ask(secret, n=2),
        ask(secret, tools=[{"type": "function", "function": {"name": 7, "x": secret}}]),
        {"model": "claude-nothing", "messages": [{"role": "boss", "content": secret}]},
        {"model": "auto", "messages": [{"role": "user", "content": [{"type": secret}]}]},
    ]
    said: list[str] = []
    for key in (gateway.api_key, wrong_key):
        with gateway.http(key) as http:
            for body in bodies:
                response = http.post(CHAT, content=wire.dumps(body))
                if response.status_code != 200 or '"error"' in response.text:
                    said.append(f"{response.headers}{response.text}")
            broken = (secret.encode(), wire.dumps(ask(secret))[:-20])
            said += [http.post(CHAT, content=content).text for content in broken]
            said.append(http.get(f"/v1/{wrong_key}?key={wrong_key}").text)
            said.append(http.get(f"/admin/usage?api_key={wrong_key}").text)
            http.post(CHAT, json=ask(f"{secret} [[sim:text {PROMPT_CANARY} in the answer]]"))
    assert len(said) > 2 * len(bodies)
    return said


def test_p59_no_error_shows_a_secret(failures: list[str], gateway: Gateway, wrong_key: str) -> None:
    for text in failures:
        for secret in (UPSTREAM_KEY, gateway.api_key, gateway.admin_key):
            assert secret not in text
        if f"/v1/{wrong_key}" not in text:  # a path that does not exist is named
            assert wrong_key not in text


def test_p59_no_error_repeats_the_prompt(failures: list[str]) -> None:
    for text in failures:
        assert PROMPT_CANARY not in text or f"'{PROMPT_CANARY}" in text, text


@pytest.mark.usefixtures("failures")
def test_p59_metrics_hold_neither_secrets_nor_prompts(
    gateway: Gateway, admin: httpx2.Client, wrong_key: str
) -> None:
    until(lambda: gateway.metric("gateway_requests_total", status="401") > 0, "all is counted")
    text = admin.get("/admin/metrics").text
    for secret in (UPSTREAM_KEY, gateway.api_key, gateway.admin_key, wrong_key, PROMPT_CANARY):
        assert secret not in text


@pytest.mark.usefixtures("failures")
def test_p59_logs_journal_and_state_hold_neither_secrets_nor_prompts(
    gateway: Gateway, contract_home: Path, wrong_key: str
) -> None:
    own_secrets = [gateway.api_key, gateway.admin_key, wrong_key, UPSTREAM_KEY, PROMPT_CANARY]
    places = ("logs", "journal", "metrics", "run")
    files = list(
        text_of_files(
            contract_home,
            lambda path: (
                any(f"/{place}/" in str(path) for place in places)
                or path.suffix in {".err", ".log"}
            ),
        )
    )
    names = {path.name for path, _ in files}
    assert {"api-1.log", "api-2.log", "worker-1.log", "state.json"} <= names
    assert any(name.endswith(".usage.jsonl") for name in names)
    assert any(
        b'"event":"request_refused"' in content or b"refused" in content for _, content in files
    )
    for path, content in files:
        for secret in own_secrets:
            assert secret.encode() not in content, f"{secret} is in {path}"


@pytest.mark.usefixtures("failures")
def test_p59_usage_rows_hold_neither_secrets_nor_prompts(
    gateway: Gateway, admin: httpx2.Client, wrong_key: str
) -> None:
    for path in ("/admin/usage", "/admin/usage/daily", "/admin/costs"):
        text = admin.get(path).text
        for secret in (UPSTREAM_KEY, gateway.api_key, wrong_key, PROMPT_CANARY):
            assert secret not in text


def test_p59_the_tests_before_left_no_unexpected_error(gateway: Gateway) -> None:
    for path, content in text_of_files(gateway.home / "logs", lambda path: "api-" in path.name):
        lines = [line for line in content.splitlines() if b'"level":"error"' in line]
        assert lines == [], f"{path}: {lines[:3]}"


def test_p59_what_the_server_says_by_itself_goes_through_the_same_log(gateway: Gateway) -> None:
    host, port = gateway.root_url.removeprefix("http://").split(":")
    for _ in range(8):  # whichever process takes them
        with socket.create_connection((host, int(port)), timeout=5) as raw:
            raw.sendall(PROMPT_CANARY.encode() + b"\x01 / HTTP/9.9\r\n\r\n")
            raw.recv(1000)
    for path, content in text_of_files(gateway.home / "logs", lambda path: "api-" in path.name):
        lines = content.splitlines()
        assert all(line.startswith(b"{") for line in lines), f"{path} has lines of others"
