"""Bodies that are wrong, huge or nested without end: an error of the protocol, and soon."""

import time
from typing import Any

import httpx2
import pytest

from tests.contract.harness.gateway import Gateway

PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/messages")
SECONDS = 10.0  # far above what any of these takes, far below what a quadratic step would

NESTED = b"[" * 100_000 + b"]" * 100_000


def _conversation(path: str, count: int) -> dict[str, Any]:
    texts = [
        {"role": "assistant" if number % 2 else "user", "content": f"message {number}"}
        for number in range(count - 1 + count % 2)
    ]
    if path == "/v1/responses":
        return {"model": "claude-haiku-5-5", "input": texts}
    return {"model": "claude-haiku-5-5", "max_tokens": 64, "messages": texts}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b'{"model": "\xff"}',
        NESTED,
        b'{"model": "auto", "messages": ' + NESTED + b', "input": ' + NESTED + b"}",
        b'{"model": "auto", "messages": "x", "input": 7}',
        b'{"model": 7, "messages": [], "input": "x"}',
        b'{"model": "auto", "messages": [{"role": 1}], "input": [{"type": 1}]}',
        b"null",
        b'"' + b"\\" * 100_000,
    ],
    ids=range(11),
)
def test_what_is_wrong_is_a_400_of_the_protocol(
    path: str, body: bytes, http: httpx2.Client
) -> None:
    began = time.monotonic()
    response = http.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400, response.text[:300]
    assert time.monotonic() - began < SECONDS
    error = response.json()
    assert error["error"]["message"]
    if path == "/v1/messages":
        assert error["type"] == "error"
    else:
        assert error["error"]["param"]


@pytest.mark.parametrize("path", PATHS)
def test_a_body_of_50_mb_is_a_413(path: str, gateway: Gateway) -> None:
    began = time.monotonic()
    with gateway.http() as http:
        response = http.post(path, content=b'{"model": "' + b"x" * 50_000_000 + b'"}')
    assert response.status_code == 413
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("path", PATHS)
def test_ten_thousand_messages_are_served(path: str, http: httpx2.Client) -> None:
    began = time.monotonic()
    response = http.post(path, json=_conversation(path, 10_000), timeout=60)
    assert response.status_code == 200, response.text[:300]
    assert time.monotonic() - began < 3 * SECONDS
