"""Batches in Anthropic's form: /v1/messages/batches."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from api.batch_calls import batches_of, read_sent
from api.deps import require_caller
from gateway.batches import anthropic_form
from gateway.batches.batches import Batches
from gateway.context import Caller
from gateway.errors import NotFoundError
from gateway.wire import JSONObject

router = APIRouter(tags=["batches"])

CallerOf = Annotated[Caller, Depends(require_caller)]
BatchesOf = Annotated[Batches, Depends(batches_of)]


@router.post("/v1/messages/batches", summary="Submit a Message Batch")
async def create_batch(request: Request, caller: CallerOf, batches: BatchesOf) -> JSONObject:
    """The accepted batch."""
    return await batches.create_anthropic(await read_sent(request, caller))


@router.get("/v1/messages/batches", summary="Message Batches")
async def list_batches(
    caller: CallerOf,
    batches: BatchesOf,
    after_id: str | None = None,
    before_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
) -> JSONObject:
    """A page of the project's Message Batches, the newest first."""
    return await batches.page_anthropic(caller.project.id, limit, after_id, before_id)


@router.get("/v1/messages/batches/{batch_id}", summary="A Message Batch")
async def get_batch(batch_id: str, caller: CallerOf, batches: BatchesOf) -> JSONObject:
    """The batch as it is now. Raises NotFoundError."""
    return anthropic_form.shown(await batches.get(caller.project.id, batch_id, "anthropic"))


@router.post("/v1/messages/batches/{batch_id}/cancel", summary="Cancel a Message Batch")
async def cancel_batch(batch_id: str, caller: CallerOf, batches: BatchesOf) -> JSONObject:
    """What is done stays."""
    batch = await batches.get(caller.project.id, batch_id, "anthropic")
    return anthropic_form.shown(await batches.cancel(batch))


@router.delete("/v1/messages/batches/{batch_id}", summary="Delete a Message Batch")
async def delete_batch(batch_id: str, caller: CallerOf, batches: BatchesOf) -> JSONObject:
    """Only one that has ended."""
    batch = await batches.get(caller.project.id, batch_id, "anthropic")
    await batches.delete(caller.project.id, batch)
    return {"id": batch.id, "type": "message_batch_deleted"}


@router.get(
    "/v1/messages/batches/{batch_id}/results",
    summary="Results, one JSON a line",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-jsonl": {}}}},
)
async def read_results(batch_id: str, caller: CallerOf, batches: BatchesOf) -> StreamingResponse:
    """The results of a batch that has ended. Raises NotFoundError."""
    batch = await batches.get(caller.project.id, batch_id, "anthropic")
    if not batch.has_ended:
        raise NotFoundError("the batch has no results yet", param="batch_id")
    lines = batches.results(batch, anthropic_form.line)
    return StreamingResponse(lines, media_type="application/x-jsonl")
