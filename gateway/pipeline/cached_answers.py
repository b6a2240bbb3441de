"""The response cache's place in a request: after admission, before the upstream is asked.

A kept answer comes as an upstream answer that has arrived whole, so translators and replies do not
know the difference. What hears answers does: a turn is kept of the same answer to the same request,
whose thinking is signed for just this conversation, but never of an answer to another question.
"""

import math
from collections.abc import Mapping

from gateway.context import RequestContext
from gateway.errors import UpstreamError
from gateway.pipeline.accounting import Account
from gateway.pipeline.attempts import Begun, Event, Repair, UpstreamCall
from gateway.pipeline.live import LivePipeline
from gateway.pipeline.prepared import Prepared, Started
from gateway.pipeline.reply import NOBODY, AnswerListener
from gateway.protocols.shared.sse import SSEFramer
from gateway.response_cache.answer import given_again
from gateway.response_cache.cache import Answer, Asking, ResponseCache
from gateway.response_cache.question import Asked, Question, read_question
from gateway.structs import Struct, replace
from gateway.telemetry import series
from gateway.upstream.http_connection import Take


class CachedAnswers(Struct, frozen=True):
    """Begins answers from the cache, or from the upstream; holds no state of its own."""

    live: LivePipeline
    cache: ResponseCache

    async def begin(self, context: RequestContext, account: Account, prepared: Prepared) -> Started:
        """The beginning of an answer, and who is to hear it."""
        question = self._question(context, prepared)
        if question is None:
            return await self.live.begin(context, account, prepared)
        found = await self.cache.find(question)
        if found.answer is not None:
            return self._again(context, account, prepared, found.answer)
        context.response_headers["X-Cache"] = "MISS"
        if found.asking is None:
            raise RuntimeError("neither an answer nor somebody to bring one")
        account.on_close = found.asking.ended
        watched = replace(prepared, call=_watched(prepared.call, found.asking))
        started = await self.live.begin(context, account, watched)
        if started.prepared is not watched:
            found.asking.changed()  # another model's answer is none to this question
        return replace(started, listener=_Both(started.listener, found.asking))

    def _question(self, context: RequestContext, prepared: Prepared) -> Question | None:
        if prepared.keepable is None:
            return None
        return read_question(
            Asked(
                project=context.known_caller().project,
                upstream=self.live.upstream,
                headers=prepared.call.headers,
                request=prepared.keepable,
                cache_control=context.headers.get("cache-control", ""),
            )
        )

    def _again(
        self, context: RequestContext, account: Account, prepared: Prepared, answer: Answer
    ) -> Started:
        """The kept answer, under a new id."""
        same = answer.similarity is None
        context.response_headers["X-Cache"] = "HIT"
        if answer.similarity is not None:
            context.response_headers["X-Cache-Similarity"] = f"{answer.similarity:.3f}"
        metrics = self.live.accounting.metrics
        metrics.add(series.CACHE_HITS, ("response" if same else "semantic",))
        account.costs_nothing()
        events = given_again(answer.events, with_thinking=same)
        begun = Begun(ArrivedAnswer(), SSEFramer(), events, b"", 0)
        return Started(prepared, begun, prepared.listener if same else NOBODY)


class ArrivedAnswer:
    """Stands for the rest of an answer of which nothing is left to be read."""

    def __init__(self) -> None:
        self.headers: Mapping[str, str] = {}

    async def read(self) -> bytes:
        """Nothing more."""
        return b""

    async def pass_on(self, take: Take) -> None:
        """Nothing more."""

    def arrived(self) -> bytes:
        """Nothing more."""
        return b""

    async def read_all(self, limit_bytes: float = math.inf) -> bytes:  # noqa: ARG002 - all is nothing
        """Nothing more."""
        return b""

    @property
    def is_complete(self) -> bool:
        """It has come whole."""
        return True

    async def finish(self) -> None:
        """There is no connection."""

    def abort(self) -> None:
        """There is no connection."""


class _Both(Struct, frozen=True):
    """Two listeners as one."""

    first: AnswerListener
    second: AnswerListener

    def feed(self, events: list[Event]) -> None:
        """Events of the answer."""
        self.first.feed(events)
        self.second.feed(events)

    def answered(self) -> None:
        """The answer is complete."""
        self.first.answered()
        self.second.answered()


def _watched(call: UpstreamCall, asking: Asking) -> UpstreamCall:
    """The call; an answer to anything that was sent in its place is not kept.

    Its deltas stay apart: a kept answer may be streamed to who asks next.
    """

    def repair(error: UpstreamError) -> Repair | None:
        repaired = call.repair(error)
        if repaired is not None:
            asking.changed()
        return repaired

    return replace(call, repair=repair, joins=False)
