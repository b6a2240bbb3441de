"""Vectors of questions from the provider of embeddings, for the semantic cache.

A request waits for them, so they come soon or not at all, and a provider that failed is left alone
for a while.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from gateway import wire
from gateway.errors import GatewayError
from gateway.pipeline.attempts import Attempts, UpstreamCall
from gateway.protocols.openai_embeddings import embedding_answer, read_embedding

_log = logging.getLogger("gateway.response_cache")

_HEADERS = {"content-type": "application/json", "accept": "application/json"}
_TIMEOUT_SECONDS = 1.0
_PAUSE_SECONDS = 30.0


class ProviderVectors:
    """Asks the provider behind `attempts` for vectors of `model`."""

    def __init__(
        self, attempts: Attempts, model: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._attempts = attempts
        self._model = model
        self._clock = clock
        self._ask_again_at = clock()

    async def vector(self, text: str) -> Sequence[float] | None:
        """The vector of `text`; None when there is none in time. Never raises."""
        if not text or self._clock() < self._ask_again_at:
            return None
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                return await self._asked(text)
        except (GatewayError, TimeoutError) as error:
            self._ask_again_at = self._clock() + _PAUSE_SECONDS
            _log.warning("semantic_cache_without_vectors", extra={"reason": type(error).__name__})
            return None

    async def _asked(self, text: str) -> Sequence[float]:
        request = read_embedding({"input": [text]}, "", self._model)
        call = UpstreamCall(
            "/embeddings",
            wire.dumps(request.body),
            _HEADERS,
            self._model,
            family="embeddings",
            streamed=False,
        )
        begun = await self._attempts.begin(call)
        try:
            answer = wire.loads(await begun.response.read_all())
        finally:
            begun.response.abort()
        vector: Sequence[float] = embedding_answer(answer, request)["data"][0]["embedding"]
        return vector
