"""Requests nobody would send on purpose: every one is answered, soon, and never with a 5xx."""

import random
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import wire
from tests.contract.harness.gateway import Gateway

SOON_SECONDS = 8.0
EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20).filter(lambda text: "[[sim:" not in text)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def parts(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of these fields, whose values are anything."""
    return st.dictionaries(st.sampled_from(names), values, max_size=len(names))


content = st.one_of(
    values,
    st.lists(
        st.one_of(
            parts("type", "text", "image_url", "file", "cache_control"),
            st.builds(lambda text: {"type": "text", "text": text}, values),
            st.builds(lambda url: {"type": "image_url", "image_url": {"url": url}}, values),
            st.builds(lambda file: {"type": "file", "file": file}, values),
        ),
        max_size=3,
    ),
)
calls = st.lists(
    st.one_of(
        values,
        st.fixed_dictionaries(
            {
                "id": values,
                "type": st.sampled_from(["function", "custom", "x"]),
                "function": st.fixed_dictionaries({"name": values, "arguments": values}),
            }
        ),
    ),
    max_size=3,
)
messages = st.lists(
    st.one_of(
        values,
        st.fixed_dictionaries(
            {
                "role": st.sampled_from(["system", "user", "assistant", "tool", "function", "x"]),
                "content": content,
            },
            optional={"tool_calls": calls, "tool_call_id": values, "name": values},
        ),
    ),
    max_size=5,
)
tools = st.lists(
    st.one_of(
        values,
        st.fixed_dictionaries(
            {
                "type": st.sampled_from(["function", "custom", "x"]),
                "function": st.fixed_dictionaries(
                    {"name": values}, optional={"parameters": values}
                ),
            }
        ),
    ),
    max_size=3,
)
bodies = st.fixed_dictionaries(
    {"model": st.one_of(st.just("auto"), values), "messages": messages},
    optional={
        "tools": tools,
        "tool_choice": values,
        "functions": values,
        "function_call": values,
        "stream": st.booleans(),
        "stream_options": values,
        "max_tokens": values,
        "stop": values,
        "response_format": st.one_of(
            values,
            st.builds(
                lambda schema: {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": schema},
                },
                values,
            ),
        ),
        "reasoning_effort": values,
        "reasoning": values,
        "thinking": values,
        "user": values,
        "metadata": values,
        "temperature": values,
        "prompt_cache_key": values,
        "prompt_cache_options": values,
        "service_tier": values,
        "n": values,
    },
)


def assert_answered(gateway: Gateway, content: bytes, path: str = "/v1/chat/completions") -> None:
    """An answer that is no 5xx, in the shape of the protocol, soon."""
    began = time.monotonic()
    with gateway.http() as http:
        headers = {"content-type": "application/json"}
        response = http.post(path, content=content, headers=headers)
    assert time.monotonic() - began < SOON_SECONDS
    assert response.status_code < 500, (response.status_code, response.text, content)
    if response.status_code != 200:
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    elif response.headers["content-type"].startswith("text/event-stream"):
        assert response.text.rstrip().endswith("data: [DONE]"), response.text


@EXAMPLES
@given(body=bodies)
def test_bodies_with_anything_in_every_field(gateway: Gateway, body: dict[str, Any]) -> None:
    assert_answered(gateway, wire.dumps(body))


@EXAMPLES
@given(body=values)
def test_any_json_is_answered_by_every_hot_route(gateway: Gateway, body: Any) -> None:
    for path in ("/v1/chat/completions", "/chat"):
        assert_answered(gateway, wire.dumps(body), path)


@settings(EXAMPLES, max_examples=40)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_answered(gateway: Gateway, content: bytes) -> None:
    assert_answered(gateway, content)


GOOD = wire.dumps(
    {
        "model": "auto",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
        ],
        "stream": True,
    }
)


@pytest.mark.parametrize("seed", range(25))
def test_a_good_body_with_a_few_wrong_bytes(gateway: Gateway, seed: int) -> None:
    chance = random.Random(seed)
    broken = bytearray(GOOD)
    for _ in range(chance.randint(1, 4)):
        broken[chance.randrange(len(broken))] = chance.randrange(256)
    assert_answered(gateway, bytes(broken))


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"messages":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"model": "auto", "model": 7, "messages": [{"role": "user", "content": "x"}]}',
        b'{"model": "auto", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "auto", "messages": [{"role": "user", "content": "\\u0000 \\u2028"}]}',
        b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1e400}',
        b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "user": "\\udfff"}',
        b'{"model": "\\ud800", "messages": [{"role": "user", "content": "x"}]}',
        b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "\\ud800": 1}',
        b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "\\n\\r: y": 1}',
        b'\xef\xbb\xbf{"model": "auto", "messages": [{"role": "user", "content": "x"}]}',
        b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "n": NaN}',
        GOOD + b"  \n\t",
        GOOD + b"x",
    ],
    ids=range(14),
)
def test_json_at_the_edge_of_json(gateway: Gateway, content: bytes) -> None:
    assert_answered(gateway, content)


@pytest.mark.parametrize("depth", [20, 60, 500])
@pytest.mark.parametrize("place", ["parameters", "response_format"])
def test_a_schema_that_nests_without_end_is_answered(
    gateway: Gateway, depth: int, place: str
) -> None:
    schema = b'{"type":"object","properties":{"a":' * depth + b"{}" + b"}}" * depth
    if place == "parameters":
        field = b'"tools":[{"type":"function","function":{"name":"f","parameters":%s}}]' % schema
    else:
        field = (
            b'"response_format":{"type":"json_schema","json_schema":{"name":"d","schema":%s}}'
            % schema
        )
    asked = b'{"model":"auto","messages":[{"role":"user","content":"x"}],'
    assert_answered(gateway, asked + field + b"}")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"POST /chat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%00%ff%2e%2e/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nauthorization: Bearer \xff\xfe\r\n"
        b"Connection: close\r\n\r\n",
    ],
    ids=range(9),
)
def test_bytes_that_are_no_http_do_not_hurt(gateway: Gateway, request_bytes: bytes) -> None:
    address = urlsplit(gateway.root_url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    assert not answer.startswith(b"HTTP/1.1 5")
    assert httpx2.get(f"{gateway.root_url}/health/live").status_code == 200
