"""Items of batches, executed by the same pipelines as live requests."""

import time
from collections.abc import Awaitable, Callable, Mapping

from gateway import wire
from gateway.batches.execution import Answered, NotYet
from gateway.context import Caller, RequestContext
from gateway.errors import GatewayError
from gateway.pipeline.chat import ChatPipeline
from gateway.pipeline.embeddings import EmbeddingPipeline
from gateway.pipeline.messages import MessagesPipeline
from gateway.pipeline.reply import Reply
from gateway.pipeline.responses import ResponsesPipeline
from gateway.pipeline.unattended import CollectedUsage, refused_event, told_error, wait_after
from gateway.storage.batch_items_store import ItemResult
from gateway.storage.batch_tables import FAILED, SUCCEEDED
from gateway.structs import Struct, replace
from gateway.usage.events import UsageEvent, close_record
from gateway.wire import JSONObject

Open = Callable[[RequestContext, bytes], Awaitable[Reply]]


class BatchItem(Struct, frozen=True):
    """An item to execute: what a client of `endpoint` would have sent, and for whom.

    `attempts` counts the retries of the batch that the item was part of.
    """

    batch_id: str
    number: int
    endpoint: str
    body: bytes
    caller: Caller
    attempts: int = 0

    @property
    def id(self) -> str:
        """Names the item in usage rows and logs, and as a request."""
        return item_id_of(self.batch_id, self.number, self.attempts)


def item_id_of(batch_id: str, number: int, attempts: int) -> str:
    """What names an item in usage rows and logs, and as a request.

    A retry of the batch is another request: what the first one has cost stays counted.
    """
    return f"bi_{batch_id}_{number}" + (f"_{attempts}" if attempts else "")


class BatchItems(Struct, frozen=True):
    """Executes items by endpoint; `usage` is what the pipelines account to."""

    openers: Mapping[str, Open]
    usage: CollectedUsage

    async def execute(self, item: BatchItem) -> Answered | NotYet:
        """The result of an item with its usage row, or why it has to be tried again."""
        context = RequestContext(item.id, item.endpoint, {}, time.monotonic(), item.caller)
        try:
            body = await self._answer(context, item)
        except GatewayError as error:
            return self._judged(item, error, self.usage.take(item.id))
        except BaseException:
            _ = self.usage.take(item.id)
            raise
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

    def _judged(
        self, item: BatchItem, error: GatewayError, event: UsageEvent | None
    ) -> Answered | NotYet:
        """What a failed item ends with, now or when no other try is left."""
        wait = wait_after(error)
        if wait is not None and event is not None:
            self.usage.try_again(event)
        used = event or refused_event(
            item.id, item.endpoint, item.caller.project.id, item.caller.key_id, error
        )
        result = ItemResult(
            item.number, FAILED, error.status, error=told_error(error), request_id=item.id
        )
        failed = Answered(with_usage(result, used), _row(item, used))
        return failed if wait is None else NotYet(wait.why, wait.seconds, failed)


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
    return close_record(replace(event, event_id=item.id, batch_id=item.batch_id))
