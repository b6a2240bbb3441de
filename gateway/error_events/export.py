"""Error events as JSON lines, in a file or to an HTTP endpoint."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from gateway import wire
from gateway.errors import UnavailableError
from gateway.wire import JSONObject

_HEADERS = {"content-type": "application/x-ndjson", "accept": "*/*"}
_ANSWER_LIMIT_BYTES = 65_536


class ExportAnswer(Protocol):
    """The answer of an endpoint."""

    @property
    def status(self) -> int:
        """HTTP status."""

    async def read_all(self, limit_bytes: float = ...) -> bytes:
        """The body, up to the limit."""

    def abort(self) -> None:
        """Let go of it."""


class ExportTransport(Protocol):
    """Reaches an endpoint."""

    async def open(self, path: str, body: bytes, headers: Mapping[str, str]) -> ExportAnswer:
        """POST a body. Raises GatewayError."""


class FileSink:
    """Appends lines to a file; whoever rotates it may move it away at any time."""

    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def write(self, rows: Sequence[JSONObject]) -> None:
        """Append the rows, one write for all. Raises OSError."""
        await asyncio.to_thread(_append, self._path, _lines(rows))


class EndpointSink:
    """Posts lines to an endpoint, which answers 2xx when it has them."""

    name = "endpoint"

    def __init__(self, transport: ExportTransport) -> None:
        self._transport = transport

    async def write(self, rows: Sequence[JSONObject]) -> None:
        """Post the rows. Raises GatewayError."""
        answer = await self._transport.open("", _lines(rows), _HEADERS)
        try:
            await answer.read_all(_ANSWER_LIMIT_BYTES)
        finally:
            answer.abort()
        if not 200 <= answer.status < 300:
            raise UnavailableError(
                "the endpoint of error events refused them", detail=f"HTTP {answer.status}"
            )


def _lines(rows: Sequence[JSONObject]) -> bytes:
    return b"".join(wire.dumps(row) + b"\n" for row in rows)


def _append(path: Path, lines: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        while lines:
            lines = lines[os.write(descriptor, lines) :]
    finally:
        os.close(descriptor)
