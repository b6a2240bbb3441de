"""Is a server ready? Asked at the socket, in the server's own protocol, without its client library.

Each probe returns None when the server is ready, else the reason in a few words.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.config.addresses import split_url
from gateway.stack.errors import StackError

TIMEOUT_SECONDS = 2.0
_MAX_BODY = 1_000_000
_DEFAULT_PORTS = {
    "postgresql": 5432,
    "postgres": 5432,
    "redis": 6379,
    "rediss": 6379,
    "valkey": 6379,
    "http": 80,
    "https": 443,
}


@asynccontextmanager
async def _connection(
    host: str, port: int
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            yield reader, writer
        finally:
            writer.close()


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return error.strerror or str(error) or type(error).__name__


def address_of(url: str) -> tuple[str, int]:
    """Host and port of a URL or of a plain host:port, with the scheme's usual port.

    Raises StackError, which does not repeat the URL: it may carry a password.
    """
    try:
        parts = split_url(url if "://" in url else f"//{url}")
    except ValueError:
        raise StackError("the address of a server is neither a URL nor host:port") from None
    scheme = parts.scheme.partition("+")[0]
    return parts.hostname or "127.0.0.1", parts.port or _DEFAULT_PORTS.get(scheme, 7233)


async def listens(host: str, port: int) -> str | None:
    """Does anybody accept connections there?"""
    try:
        async with _connection(host, port):
            return None
    except OSError as error:
        return _reason(error)


async def postgres(host: str, port: int) -> str | None:
    """Does PostgreSQL take connections? What pg_isready asks: a start-up packet, unauthenticated.

    Any answer but SQLSTATE 57P03 (starting up, shutting down) means that it does.
    """
    parameters = b"user\0gateway\0database\0postgres\0\0"
    packet = struct.pack("!II", len(parameters) + 8, 0x00030000) + parameters
    try:
        async with _connection(host, port) as (reader, writer):
            writer.write(packet)
            answer = await reader.read(1024)
    except OSError as error:
        return _reason(error)
    if answer[:1] == b"R" or (answer[:1] == b"E" and b"C57P03" not in answer):
        return None
    return "still starting" if answer else "connection closed"


async def valkey(host: str, port: int, password: str) -> str | None:
    """Does Valkey answer PING? While it loads its file it answers -LOADING."""
    try:
        async with _connection(host, port) as (reader, writer):
            commands = [b"AUTH", password.encode()] if password else []
            writer.write((_resp(commands) if commands else b"") + _resp([b"PING"]))
            answer = await reader.readline()
            if commands and answer.startswith(b"+"):
                answer = await reader.readline()
    except OSError as error:
        return _reason(error)
    if answer.startswith(b"+PONG"):
        return None
    return answer[1:].decode(errors="replace").strip() or "connection closed"


def _resp(words: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


async def http(
    host: str, port: int, path: str, *, method: str = "GET", body: bytes = b""
) -> tuple[int, bytes]:
    """Status and body of an HTTP answer. Raises OSError. HTTP/1.0, so never chunked."""
    head = (
        f"{method} {path} HTTP/1.0\r\nHost: {host}:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    async with _connection(host, port) as (reader, writer):
        writer.write(head.encode() + body)
        raw = await reader.read(_MAX_BODY)
        while chunk := await reader.read(_MAX_BODY):
            raw = (raw + chunk)[:_MAX_BODY]
    head_bytes, _, content = raw.partition(b"\r\n\r\n")
    words = head_bytes.partition(b"\r\n")[0].split()
    if len(words) < 2 or not words[1].isdigit():
        raise ConnectionError("no HTTP answer")
    return int(words[1]), content


async def answers(host: str, port: int, path: str) -> str | None:
    """Is a GET of `path` answered? A refusal (4xx) is an answer too: the server wants a key."""
    try:
        status, body = await http(host, port, path)
    except OSError as error:
        return _reason(error)
    if 200 <= status < 500:
        return None
    return f"HTTP {status}: {body[:300].decode(errors='replace')}"
