"""The edge: keys, front doors, sizes, paths and methods."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from gateway import wire
from tests.contract.harness.gateway import Gateway, api_beside
from tests.contract.harness.simulator import Simulator
from tests.integration.stack_command import run

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
ADMIN_PATHS = [
    "/admin/usage",
    "/admin/usage/daily",
    "/admin/costs",
    "/admin/metrics",
    "/debug/config",
]


@pytest.fixture
def anonymous(gateway: Gateway) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=gateway.root_url, timeout=30) as http:
        yield http


def assert_openai_error(response: httpx2.Response, status: int, code: str) -> Any:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"].startswith("req_")
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    return error


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("Authorization", "Bearer {}"),
        ("authorization", "bearer {}"),
        ("X-API-Key", "{}"),
        ("api-key", "{}"),
    ],
)
def test_a_key_is_taken_in_every_form(
    anonymous: httpx2.Client, gateway: Gateway, name: str, form: str
) -> None:
    headers = {name: form.format(gateway.api_key)}
    assert anonymous.post(CHAT, json=BODY, headers=headers).status_code == 200
    assert anonymous.get("/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_api_key"),
        ({"authorization": "Bearer"}, "missing_api_key"),
        ({"authorization": "Basic dXNlcjpwYXNz"}, "missing_api_key"),
        ({"authorization": "Bearer wrong"}, "invalid_api_key"),
        ({"x-api-key": "sk-wrong"}, "invalid_api_key"),
        ({"api-key": "x" * 5000}, "invalid_api_key"),
        ({"authorization": "Bearer clé".encode()}, "invalid_api_key"),
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/chat/completions", "/chat"])
def test_without_a_good_key_chat_is_401_in_openais_shape(
    anonymous: httpx2.Client, headers: Any, code: str, path: str, simulator: Simulator
) -> None:
    error = assert_openai_error(anonymous.post(path, json=BODY, headers=headers), 401, code)
    assert error["type"] == "invalid_request_error"
    assert simulator.requests() == []


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}])
def test_without_a_good_key_models_are_401_in_the_callers_shape(
    anonymous: httpx2.Client, headers: dict[str, str]
) -> None:
    assert anonymous.get("/v1/models", headers=headers).json()["error"]["code"].endswith("api_key")
    spoken = {**headers, "anthropic-version": "2023-06-01"}
    answer = anonymous.get("/v1/models", headers=spoken)
    body = answer.json()
    assert answer.status_code == 401
    assert (body["type"], body["error"]["type"]) == ("error", "authentication_error")
    assert body["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ADMIN_PATHS)
def test_the_chat_key_is_no_admin_key(
    http: httpx2.Client, admin: httpx2.Client, anonymous: httpx2.Client, path: str
) -> None:
    assert_openai_error(http.get(path), 403, "permission_denied")
    assert_openai_error(anonymous.get(path), 401, "missing_api_key")
    assert admin.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_health_needs_no_key(anonymous: httpx2.Client, path: str) -> None:
    answer = anonymous.get(path)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_health_tells_every_part(anonymous: httpx2.Client) -> None:
    body = anonymous.get("/health").json()
    assert body["parts"] == {"valkey": "ok", "postgres": "ok", "temporal": "ok"}
    assert body["model_source"] == "127.0.0.1"


def test_effective_settings_hide_every_secret(admin: httpx2.Client, gateway: Gateway) -> None:
    text = admin.get("/debug/config").text
    environment = gateway.environment
    for name in ("ANTHROPIC_API_KEY", "GATEWAY_API_KEY", "ADMIN_API_KEY"):
        assert environment[name] not in text
        assert wire.loads(text)[name] == "<set>"
    for name in ("DATABASE_URL", "REDIS_URL"):
        password = urlsplit(environment[name]).password
        assert password
        assert password not in text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", CHAT, 405, "method_not_allowed"),
        ("DELETE", CHAT, 405, "method_not_allowed"),
        ("GET", "/chat", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("POST", "/nowhere", 404, "not_found"),
        ("GET", "/v1/chat/completions/", 404, "not_found"),
        ("GET", "/admin/nothing", 404, "not_found"),
    ],
)
def test_wrong_paths_and_methods_are_errors_of_the_protocol(
    http: httpx2.Client, method: str, path: str, status: int, code: str
) -> None:
    assert_openai_error(http.request(method, path), status, code)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", "$"),
        (b"{", "$"),
        (b"[]", "$"),
        (b'"text"', "$"),
        (b"\xff\xfe", "$"),
        (b'{"model": "auto"}', "messages"),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "model"),
        (b'{"model": "auto", "messages": []}', "messages"),
        (b'{"model": "auto", "messages": "hi"}', "messages"),
        (b'{"model": 7, "messages": [{"role": "user", "content": "x"}]}', "model"),
        (b'{"model": "auto", "messages": [{"role": "boss", "content": "x"}]}', "messages[0].role"),
        (b'{"model": "auto", "messages": [{"role": "user", "content": 7}]}', "messages[0].content"),
        (b'{"model": "auto", "messages": [7]}', "messages[0]"),
    ],
)
def test_bodies_that_cannot_be_used_are_400_with_their_path(
    http: httpx2.Client, body: bytes, param: str, simulator: Simulator
) -> None:
    headers = {"content-type": "application/json"}
    response = http.post(CHAT, content=body, headers=headers)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == param
    assert simulator.requests() == []


def exchange(gateway: Gateway, head: str, seconds: float = 10) -> str:
    """What comes back when only the head of a request is sent, and no body follows."""
    address = urlsplit(gateway.root_url)
    began = time.monotonic()
    with socket.create_connection((address.hostname, address.port), timeout=seconds) as wire_:
        wire_.sendall(head.replace("\n", "\r\n").encode())
        received = b""
        while b"\r\n\r\n" not in received or not received.rstrip().endswith(b"}"):
            piece = wire_.recv(65536)
            if not piece:
                break
            received += piece
    assert time.monotonic() - began < seconds
    return received.decode()


def head(gateway: Gateway, *headers: str) -> str:
    lines = [
        f"POST {CHAT} HTTP/1.1",
        "Host: gateway",
        f"Authorization: Bearer {gateway.api_key}",
        "Content-Type: application/json",
        *headers,
    ]
    return "\n".join(lines) + "\n\n"


def test_a_body_that_says_it_is_too_large_is_refused_unread(gateway: Gateway) -> None:
    answer = exchange(gateway, head(gateway, "Content-Length: 99000000000"))
    assert answer.startswith("HTTP/1.1 413")
    assert '"code":"request_too_large"' in answer


@pytest.fixture(scope="module")
def guarded(gateway: Gateway, contract_home: Path) -> Iterator[Gateway]:
    """An API process behind a front door, that takes small bodies only."""
    with api_beside(
        gateway,
        contract_home / "guarded",
        ORIGIN_SECRET="front-door",
        REQUIRE_CF_ACCESS_HEADERS="1",
        MAX_BODY_BYTES="5000",
        PROMETHEUS_ENABLED="0",
        GATEWAY_NAME="another-name",
        UNKNOWN_MODEL="reject",
        MODEL_PREFIX="mine/",
        RATE_LIMIT_ENABLED="0",
    ) as beside:
        yield beside


FRONT = {"x-origin-secret": "front-door", "cf-access-jwt-assertion": "some.signed.token"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-origin-secret": "front-door"},
        {"cf-access-jwt-assertion": "t"},
        {**FRONT, "x-origin-secret": "wrong"},
        {"x-origin-secret": "front-door", "cf-access-client-id": "only-half"},
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        *(CHAT, "/chat", "/v1/models", "/health", "/admin/usage", "/none"),
        *("/", "/health/", "/health/live/", "/health/ready/x", "/HEALTH/live", "//health/live"),
    ],
)
def test_who_comes_round_the_front_door_is_refused_everywhere(
    guarded: Gateway, headers: dict[str, str], path: str
) -> None:
    with guarded.http() as http:
        method = "POST" if "chat" in path else "GET"
        response = http.request(method, path, headers=headers)
        assert_openai_error(response, 403, "origin_denied")
        assert response.headers["x-gateway"] == "another-name"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_probes_of_containers_pass_the_front_door_and_learn_nothing(
    guarded: Gateway, path: str
) -> None:
    with httpx2.Client(base_url=guarded.root_url, timeout=30) as http:
        answer = http.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_the_front_door_is_checked_before_the_body_is_read(guarded: Gateway) -> None:
    answer = exchange(guarded, head(guarded, "Content-Length: 4000"))
    assert answer.startswith("HTTP/1.1 403")
    assert '"code":"origin_denied"' in answer


def test_who_comes_through_the_front_door_is_served(guarded: Gateway) -> None:
    service = {
        "x-origin-secret": "front-door",
        "cf-access-client-id": "id",
        "cf-access-client-secret": "secret",
    }
    with guarded.http() as http:
        for headers in (FRONT, service):
            assert http.post(CHAT, json=BODY, headers=headers).status_code == 200


@pytest.mark.parametrize("command", [("chat", "Hello"), ("batch", "list")])
def test_the_command_line_comes_through_the_front_door(
    guarded: Gateway, tmp_path: Path, command: tuple[str, ...]
) -> None:
    asked = (*command, "--base-url", guarded.base_url, "--api-key", guarded.api_key)
    refused = run(*asked, cwd=tmp_path)
    assert (refused.returncode, "(403)" in refused.stderr) == (1, True)
    token = {"CF_ACCESS_CLIENT_ID": "id", "CF_ACCESS_CLIENT_SECRET": "secret"}
    served = run(*asked, cwd=tmp_path, ORIGIN_SECRET="front-door", **token)
    assert served.returncode == 0, served.stderr
    (tmp_path / ".env").write_text("ORIGIN_SECRET=front-door\nCF_ACCESS_CLIENT_ID=id\n")
    half = run(*asked, cwd=tmp_path)
    assert "Cloudflare Access" in half.stderr
    assert run(*asked, cwd=tmp_path, CF_ACCESS_CLIENT_SECRET="s").returncode == 0


def test_a_body_over_the_limit_is_413(guarded: Gateway, simulator: Simulator) -> None:
    large = {**BODY, "messages": [{"role": "user", "content": "x" * 6000}]}

    def pieces() -> Iterator[bytes]:
        data = wire.dumps(large)
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]

    with guarded.http() as http:
        declared = http.post(CHAT, json=large, headers=FRONT)
        chunked = http.post(CHAT, content=pieces(), headers=FRONT)
    assert_openai_error(declared, 413, "request_too_large")
    assert_openai_error(chunked, 413, "request_too_large")
    assert simulator.requests() == []


def test_settings_of_one_process_are_obeyed(guarded: Gateway) -> None:
    with guarded.http() as http:
        unknown = http.post(CHAT, json={**BODY, "model": "nobody-knows"}, headers=FRONT)
        assert_openai_error(unknown, 404, "model_not_found")
        routed = http.post(CHAT, json={**BODY, "model": "gpt-4o"}, headers=FRONT)
        assert routed.status_code == 200
        names = [each["id"] for each in http.get("/v1/models", headers=FRONT).json()["data"]]
    assert "mine/claude-sonnet-5-5" in names
    assert not [name for name in names if name.startswith("MYMODEL:")]
    with guarded.admin() as admin:
        assert_openai_error(admin.get("/admin/metrics", headers=FRONT), 404, "not_found")
