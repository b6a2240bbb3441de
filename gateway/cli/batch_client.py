"""Calls of the batch API: files sent up, batches made and looked at, results read."""

import http.client
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote, urlsplit

from gateway import wire
from gateway.cli.clients.target import Target
from gateway.cli.http_calls import CallError, connected, connection_to, reason_of, refused

_SECONDS = 600.0  # a batch of 100,000 items is checked before it is accepted
_PIECE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class BatchClient:
    """Batches of one gateway. Every method raises CallError."""

    target: Target

    def upload(self, lines: IO[bytes], name: str, key: str) -> str:
        """Sends a file of lines up and gives its id."""
        boundary = f"batch-{os.urandom(12).hex()}"
        shown = name.encode("ascii", "replace").decode().replace('"', "_")
        head = (
            f'--{boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{shown}"\r\n'
            "content-type: application/jsonl\r\n\r\n"
        ).encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        size = lines.seek(0, os.SEEK_END)
        lines.seek(0)
        headers = {
            "content-type": f"multipart/form-data; boundary={boundary}",
            "content-length": str(len(head) + size + len(tail)),
            "idempotency-key": key,
        }

        def body() -> Iterator[bytes]:
            yield head
            while piece := lines.read(_PIECE_BYTES):
                yield piece
            yield tail

        return str(self._object("POST", "/files", body(), headers)["id"])

    def create(self, asked: dict[str, Any], key: str) -> dict[str, Any]:
        """Makes a batch; the same key gives the same one."""
        headers = {"content-type": "application/json", "idempotency-key": key}
        return self._object("POST", "/batch", wire.dumps(asked), headers)

    def get(self, batch_id: str) -> dict[str, Any]:
        """A batch as it is now."""
        return self._object("GET", f"/batch/{quote(batch_id, safe='')}")

    def order(self, batch_id: str, what: str) -> dict[str, Any]:
        """Has a batch cancelled, paused, resumed or retried."""
        return self._object("POST", f"/batch/{quote(batch_id, safe='')}/{what}", b"")

    def page(self, limit: int) -> list[dict[str, Any]]:
        """The newest batches."""
        found: list[dict[str, Any]] = self._object("GET", f"/batch?limit={limit}")["data"]
        return found

    def results(self, batch_id: str) -> Iterator[bytes]:
        """The results there are, piece by piece."""
        with self._called("GET", f"/batch/{quote(batch_id, safe='')}/results") as response:
            while piece := response.read(_PIECE_BYTES):
                yield piece

    def _object(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        with self._called(method, path, body, headers) as response:
            data = response.read()
        try:
            value = wire.loads(data)
        except wire.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            raise CallError("the answer is not one of a gateway; is the base URL right?")
        return value

    @contextmanager
    def _called(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        connection = connection_to(self.target)
        try:
            connected(connection, self.target, _SECONDS)
            url = urlsplit(self.target.base_url).path + path
            connection.request(method, url, body, {**self.target.headers, **(headers or {})})
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise refused(response)
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise CallError(
                f"the connection to {self.target.base_url} broke: {reason_of(error)}"
            ) from error
        finally:
            connection.close()
