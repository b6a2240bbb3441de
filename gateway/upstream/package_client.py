"""The official package as this gateway uses it: one upstream, one attempt."""

from types import TracebackType
from typing import Self

import anthropic


class PackageClient:
    """A client of one upstream. Use `async with`.

    It never tries again: whoever calls it has a durable engine that does.
    """

    def __init__(self, base_url: str, api_key: str, *, timeout_seconds: float) -> None:
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=base_url.rstrip("/").removesuffix("/v1"),
            max_retries=0,
            timeout=timeout_seconds,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.close()
