"""The simulator's faults on the wire, read with plain sockets and a plain HTTP client."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

ROOT = Path(__file__).parents[2]
HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01"}


def launch(*flags: str) -> Iterator[str]:
    command = [sys.executable, "-m", "simulator", *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield orjson.loads(process.stdout.readline())["base_url"]
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    yield from launch("--delta-delay", "0")


@pytest.fixture(scope="module")
def instant_url() -> Iterator[str]:
    yield from launch("--instant")


def body(text: str, **fields: Any) -> bytes:
    return orjson.dumps(
        {
            "model": "claude-haiku-4-5",
            "max_tokens": 500,
            "stream": True,
            "messages": [{"role": "user", "content": text}],
            **fields,
        }
    )


async def chunks(base_url: str, content: bytes) -> list[bytes]:
    """The HTTP chunks of an answer, as the server framed them."""
    host, port = base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nanthropic-version: 2023-06-01"
        f"\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    writer.write(head.encode() + content)
    await reader.readuntil(b"\r\n\r\n")
    found: list[bytes] = []
    while size := int(await reader.readline(), 16):
        found.append(await reader.readexactly(size))
        await reader.readexactly(2)
    writer.close()
    await writer.wait_closed()
    return found


async def read_into(received: bytearray, base_url: str, content: bytes) -> None:
    """Reads an answer to its end, or to the fault that ends it."""
    async with (
        httpx2.AsyncClient(base_url=base_url, timeout=20) as http,
        http.stream("POST", "/v1/messages", content=content, headers=HEADERS) as answer,
    ):
        async for part in answer.aiter_raw():
            received += part


async def read_all(base_url: str, content: bytes) -> bytes:
    received = bytearray()
    await read_into(received, base_url, content)
    return bytes(received)


@pytest.mark.parametrize("size", [1, 7])
async def test_split_makes_every_write_that_long(base_url: str, size: int) -> None:
    parts = await chunks(base_url, body(f"[[sim:text hällo wörld]][[sim:split {size}]]"))
    assert {len(part) for part in parts[:-1]} == {size}
    joined = b"".join(parts)
    assert joined.endswith(b'data: {"type":"message_stop"}\n\n')
    assert "hällo ".encode() in joined


@pytest.mark.parametrize(
    ("marker", "expected"),
    [("cut bytes=123", 123), ("cut bytes=123 reset=1", None), ("cut events=3", None)],
)
async def test_a_cut_ends_the_connection_early(
    base_url: str, marker: str, expected: int | None
) -> None:
    received = bytearray()
    content = body(f"[[sim:text a b c d]][[sim:{marker}]]")
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        await read_into(received, base_url, content)
    assert b"message_stop" not in received
    if expected is not None:
        assert len(received) == expected


async def test_crlf_unknown_malformed_and_ping_events(base_url: str) -> None:
    crlf = await read_all(base_url, body("[[sim:text a]][[sim:crlf]]"))
    assert b"\r\n\r\n" in crlf
    assert b"\n" not in crlf.replace(b"\r\n", b"")
    assert b"event: future_event" in await read_all(base_url, body("[[sim:unknown]]"))
    broken = await read_all(base_url, body("[[sim:malformed events=2]]"))
    assert b'"text_de\n\n' in broken
    pings = await read_all(base_url, body("[[sim:pings count=5 only=1]]"))
    assert pings.count(b"event: ping") == 5
    assert b"content_block" not in pings


@pytest.mark.parametrize("place", ["before_head", "after_head", "after_events events=2"])
async def test_silence_holds_the_answer_back(base_url: str, place: str) -> None:
    started = time.monotonic()
    await read_all(base_url, body(f"[[sim:text a]][[sim:silence {place} seconds=0.5]]"))
    assert time.monotonic() - started >= 0.5


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_is_noticed_at_once(base_url: str, stream: bool) -> None:
    place = "after_events events=2" if stream else "before_head"
    name = f"leaver {stream}"
    content = body(f"{name} [[sim:text a]][[sim:silence {place} seconds=30]]", stream=stream)
    host, port = base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nanthropic-version: 2023-06-01"
        f"\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    writer.write(head.encode() + content)
    if stream:
        await reader.readuntil(b"message_start")
    else:
        await record_of(base_url, name)
    left_at = time.time()
    writer.close()
    await writer.wait_closed()
    record = await record_of(base_url, name, left=True)
    assert record["left_at"] - left_at < 5
    assert record["ended_at"] is None
    state = httpx2.get(f"{base_url}/_sim/state").json()
    assert state["streams_open"] == 0


async def record_of(base_url: str, text: str, left: bool = False) -> Any:
    """The record of the request with this text, waited for."""
    deadline = time.monotonic() + 10
    async with httpx2.AsyncClient(base_url=base_url) as http:
        while time.monotonic() < deadline:
            records = (await http.get("/_sim/requests")).json()["requests"]
            for record in records:
                said = str((record["body"] or {}).get("messages", ""))
                if text in said and record["client_left"] >= left:
                    return record
            await asyncio.sleep(0.02)
    raise AssertionError(f"no such record: {text}")


@pytest.mark.parametrize(
    ("request_line", "headers", "content", "status", "words"),
    [
        (("POST", "/v1/messages"), {}, b"{}", 401, "x-api-key header is required"),
        (("POST", "/v1/messages"), {"x-api-key": "k"}, b"{}", 400, "anthropic-version: header is"),
        (("POST", "/v1/messages"), HEADERS, b"{", 400, "The request body is not valid JSON"),
        (("POST", "/v1/messages"), HEADERS, b"x" * (32 * 1024 * 1024 + 1), 413, "maximum size"),
        (("GET", "/v1/messages"), HEADERS, b"", 405, "Method Not Allowed"),
        (("GET", "/v1/nothing"), HEADERS, b"", 404, "Not Found"),
        (("POST", "/_sim/scripts"), {}, b'{"block": []}', 400, "Extra inputs"),
        (("PUT", "/_sim/settings"), {}, b'{"api_key": "x"}', 400, "Extra inputs"),
    ],
)
async def test_refusals_have_the_error_shape(
    base_url: str,
    request_line: tuple[str, str],
    headers: dict[str, str],
    content: bytes,
    status: int,
    words: str,
) -> None:
    async with httpx2.AsyncClient(base_url=base_url) as http:
        answer = await http.request(*request_line, headers=headers, content=content)
    assert answer.status_code == status
    value = answer.json()
    assert (value["type"], value["request_id"]) == ("error", answer.headers["request-id"])
    assert words in value["error"]["message"]


@pytest.mark.parametrize("path", ["/", "/api/hello", "/health"])
async def test_probes_need_no_key(base_url: str, path: str) -> None:
    async with httpx2.AsyncClient(base_url=base_url) as http:
        assert (await http.head(path)).status_code == 200


async def test_paced_deltas_arrive_one_by_one(instant_url: str) -> None:
    parts = await chunks(instant_url, body("[[sim:deltas count=30 chars=4 interval=0.001]]"))
    assert len(parts) == 32
    assert sum(part.count(b"text_delta") for part in parts) == 30


async def test_instant_answers_come_whole_without_an_interval(instant_url: str) -> None:
    parts = await chunks(instant_url, body("[[sim:deltas count=30]]"))
    assert len(parts) == 1
    async with httpx2.AsyncClient(base_url=instant_url) as http:
        content = body("hello", stream=False)
        answer = await http.post("/v1/messages", content=content, headers=HEADERS)
    assert answer.json()["stop_reason"] == "end_turn"
