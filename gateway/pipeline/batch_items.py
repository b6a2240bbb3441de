"""Items of batches, executed by the same pipelines as live requests."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from gateway import wire
from gateway.batches.execution import Answered, NotYet
from gateway.context import Caller, RequestContext
from gateway.errors import GatewayError, UnavailableError, UpstreamError
from gateway.pipeline.chat import ChatPipeline
from gateway.pipeline.embeddings import EmbeddingPipeline
from gateway.pipeline.messages import MessagesPipeline
from gateway.pipeline.reply import Reply
from gateway.pipeline.responses import ResponsesPipeline
from gateway.reliability.limits import LimitReachedError
from gateway.reliability.retry import is_of_the_key
from gateway.storage.batch_items_store import ItemResult
from gateway.storage.batch_tables import FAILED, SUCCEEDED
from gateway.usage.events import (
    NOTHING_USED,
    Outcome,
    RequestOpened,
    UsageEvent,
    UsageNumbers,
    close_event,
    close_record,
    now,
)
from gateway.wire import JSONObject

_REFUSED_KEY_SECONDS = 60.0  # an operator has to mend it, and the batch can wait
_BUSY = frozenset({429, 503, 529})

Open = Callable[[RequestContext, bytes], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class BatchItem:
    """An item to execute: what a client of `endpoint` would have sent, and for whom."""

    batch_id: str
    number: int
    endpoint: str
    body: bytes
    caller: Caller

    @property
    def id(self) -> str:
        """Names the item in usage rows and logs, and as a request."""
        return item_id_of(self.batch_id, self.number)


def item_id_of(batch_id: str, number: int) -> str:
    """What names an item in usage rows and logs, and as a request."""
    return f"bi_{batch_id}_{number}"


class CollectedUsage:
    """Keeps the usage of requests until it is stored together with their results.

    Implements `gateway.usage.journal.UsageLog`.
    """

    is_failing = False

    def __init__(self) -> None:
        self._events: dict[str, UsageEvent] = {}

    def open(self, opened: RequestOpened) -> None:
        """A request that is not finished is done again, so there is nothing to note."""

    def start(
        self,
        event_id: str,
        usage: UsageNumbers,
        *,
        model: str,
        upstream: str,
        first_token_ms: float | None = None,
    ) -> None:
        """A request that is not finished is done again, so there is nothing to note."""

    def close(self, event: UsageEvent) -> None:
        """Keeps the event until it is taken."""
        self._events[event.request_id] = event

    def take(self, request_id: str) -> UsageEvent | None:
        """The event of a request, which is forgotten here."""
        return self._events.pop(request_id, None)


@dataclass(frozen=True, slots=True)
class BatchItems:
    """Executes items by endpoint; `usage` is what the pipelines account to."""

    openers: Mapping[str, Open]
    usage: CollectedUsage

    async def execute(self, item: BatchItem) -> Answered | NotYet:
        """The result of an item with its usage row, or why it has to be tried again."""
        context = RequestContext(item.id, item.endpoint, {}, time.monotonic(), item.caller)
        try:
            body = await self._answer(context, item)
        except LimitReachedError as error:
            return NotYet("limit", error.retry_after_seconds, self._failed(item, error))
        except GatewayError as error:
            return self._judged(item, error)
        finally:
            event = self.usage.take(item.id)
        if event is None:
            raise RuntimeError("an answered item has left no usage")
        result = with_usage(
            ItemResult(item.number, SUCCEEDED, 200, body, request_id=item.id), event
        )
        return Answered(result, _row(item, event))

    async def _answer(self, context: RequestContext, item: BatchItem) -> bytes:
        opener = self.openers[item.endpoint]
        reply = await opener(context, without_stream(item.body))
        try:
            return await reply.whole()
        finally:
            reply.settle()

    def _judged(self, item: BatchItem, error: GatewayError) -> Answered | NotYet:
        """Whether a failure is the item's, and what it ends with in that case."""
        failed = self._failed(item, error)
        seconds = error.retry_after_seconds
        if isinstance(error, UpstreamError) and is_of_the_key(error):
            return NotYet("busy", seconds or _REFUSED_KEY_SECONDS, failed)
        if not error.retryable:
            return failed
        status = error.upstream_status if isinstance(error, UpstreamError) else error.status
        if isinstance(error, UnavailableError) or status in _BUSY:
            return NotYet("busy", seconds, failed)
        return NotYet("failure", seconds, failed)

    def _failed(self, item: BatchItem, error: GatewayError) -> Answered:
        event = self.usage.take(item.id) or _refused(item, error)
        result = ItemResult(
            item.number,
            FAILED,
            error.status,
            error=item_error(error),
            request_id=item.id,
        )
        return Answered(with_usage(result, event), _row(item, event))


def batch_openers(
    chat: ChatPipeline,
    responses: ResponsesPipeline,
    messages: MessagesPipeline,
    embeddings: EmbeddingPipeline,
) -> dict[str, Open]:
    """What opens the items of each endpoint."""
    return {
        "/v1/chat/completions": chat.open_chat,
        "/v1/responses": responses.open_response,
        "/v1/messages": messages.open_messages,
        "/v1/embeddings": embeddings.open_embeddings,
    }


def without_stream(body: bytes) -> bytes:
    """The body of a request that is answered at once: nobody listens to a stream."""
    if b'"stream' not in body:
        return body
    parsed = wire.loads_object(body)
    parsed.pop("stream", None)
    parsed.pop("stream_options", None)
    return wire.dumps(parsed)


def item_error(error: GatewayError) -> JSONObject:
    """What the forms of all endpoints make their errors of."""
    return {
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "status": error.status,
        "type": error.upstream_kind if isinstance(error, UpstreamError) else error.kind,
    }


def with_usage(result: ItemResult, event: UsageEvent) -> ItemResult:
    """The result with what its request has used."""
    return replace(
        result,
        input_tokens=event.input_tokens,
        output_tokens=event.output_tokens,
        cache_read_tokens=event.cache_read_tokens,
        cost_usd=event.cost_usd,
    )


def _row(item: BatchItem, event: UsageEvent) -> JSONObject:
    """The row of `usage_events`, under an id that is the same however often it is made."""
    return close_record(event._replace(event_id=item.id, batch_id=item.batch_id))


def _refused(item: BatchItem, error: GatewayError) -> UsageEvent:
    """The event of an item that was refused before it was a request of its own."""
    started_at, day = now()
    opened = RequestOpened(
        event_id=item.id,
        day=day,
        started_at=started_at,
        project=item.caller.project.id,
        key_id=item.caller.key_id,
        request_id=item.id,
        endpoint=item.endpoint,
    )
    return close_event(opened, Outcome("error", error.status, error_code=error.code), NOTHING_USED)
