"""Claude's Message Batches, through the official package.

Bodies go out and come in as bytes, since the package's own reading of results takes a line 64
bytes at a time.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

from gateway import wire
from gateway.errors import UpstreamCutError, UpstreamError
from gateway.structs import Struct
from gateway.upstream.package_client import PackageClient
from gateway.upstream.package_errors import upstream_errors
from gateway.wire import JSONObject

_PATH = "/v1/messages/batches"
_PAGE = 100
_AS_STREAM = {"x-stainless-raw-response": "stream"}  # as `with_streaming_response` does


class UpstreamBatch(Struct, frozen=True):
    """A Message Batch: `status` is in_progress, canceling or ended; `requests` counts all."""

    id: str
    status: str
    requests: int
    created_at: datetime


class MessageBatchClient(PackageClient):
    """The Message Batches of one upstream. Use `async with`. Every method raises UpstreamError."""

    async def create(self, requests: Sequence[bytes]) -> UpstreamBatch:
        """A batch of `{"custom_id", "params"}` in JSON.

        Not idempotent: after an error without an upstream status, or with one from 500 on, the
        batch may be there all the same.
        """
        body = b'{"requests":[%s]}' % b",".join(requests)
        with upstream_errors():
            made: Any = await self._client.post(_PATH, content=body, cast_to=object)
        return _read(made)

    async def get(self, batch_id: str) -> UpstreamBatch:
        """The batch as it is now."""
        with upstream_errors():
            found: Any = await self._client.get(f"{_PATH}/{batch_id}", cast_to=object)
        return _read(found)

    async def recent(self, since: datetime) -> list[UpstreamBatch]:
        """The batches that were created since then, the newest first."""
        recent: list[UpstreamBatch] = []
        params: JSONObject = {"limit": _PAGE}
        while True:
            with upstream_errors():
                page: Any = await self._client.get(
                    _PATH, cast_to=object, options={"params": params}
                )
            batches = [_read(each) for each in _listed(page)]
            recent += [batch for batch in batches if batch.created_at >= since]
            is_last = not batches or page.get("has_more") is not True
            if is_last or batches[-1].created_at < since:
                return recent
            params = {"limit": _PAGE, "after_id": batches[-1].id}

    async def cancel(self, batch_id: str) -> UpstreamBatch:
        """Has the batch end early; requests that are not done come back as canceled."""
        with upstream_errors():
            found: Any = await self._client.post(f"{_PATH}/{batch_id}/cancel", cast_to=object)
        return _read(found)

    async def results(self, batch_id: str, skip: int = 0) -> AsyncGenerator[JSONObject, None]:
        """The results `{"custom_id", "result"}` of a batch that has ended, behind `skip` lines.

        They come in any order, mostly the same one. The path is ours and not `results_url`, which
        would lead past an upstream that stands in front of Claude's API.
        """
        with upstream_errors():
            response: Any = await self._client.get(
                f"{_PATH}/{batch_id}/results", cast_to=object, options={"headers": _AS_STREAM}
            )
        try:
            async with aclosing(_lines(response.iter_bytes())) as lines:
                async for line in lines:
                    if skip > 0:
                        skip -= 1
                    else:
                        yield _parsed(line)
        finally:
            await response.close()


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The lines of a body that comes in pieces, blank ones left out."""
    held: list[bytes] = []
    with upstream_errors():
        async for piece in pieces:
            *whole, rest = piece.split(b"\n")
            for line in whole:
                joined = b"".join([*held, line])
                held.clear()
                if joined.strip():
                    yield joined
            held.append(rest)
    if last := b"".join(held).strip():
        yield last


def _parsed(line: bytes) -> JSONObject:
    try:
        parsed = wire.loads(line)
    except wire.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise UpstreamCutError("a line of results cannot be read", retryable=True)
    return parsed


def _listed(page: Any) -> list[Any]:
    data = page.get("data") if isinstance(page, dict) else None
    if not isinstance(data, list):
        raise _unreadable()
    return data


def _read(batch: Any) -> UpstreamBatch:
    try:
        return UpstreamBatch(
            id=str(batch["id"]),
            status=str(batch["processing_status"]),
            requests=sum(int(count) for count in batch["request_counts"].values()),
            created_at=datetime.fromisoformat(batch["created_at"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _unreadable() from None


def _unreadable() -> UpstreamError:
    return UpstreamError("the upstream's batch cannot be read", retryable=True)
