"""Batches in the gateway's short form: /v1/batch."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from api.batch_calls import JSON_LINES, batches_of, read_sent
from api.deps import require_caller
from gateway.batches import short_form
from gateway.batches.batches import Batches
from gateway.context import Caller
from gateway.errors import InvalidRequestError
from gateway.wire import JSONObject

router = APIRouter(tags=["batches"])

CallerOf = Annotated[Caller, Depends(require_caller)]
BatchesOf = Annotated[Batches, Depends(batches_of)]


@router.post("/v1/batch", summary="Submit a batch")
async def create_batch(request: Request, caller: CallerOf, batches: BatchesOf) -> JSONObject:
    """The accepted batch; every request in it has been checked, or nothing is stored."""
    return await batches.create_short(await read_sent(request, caller))


@router.get("/v1/batch", summary="Batches of every form")
async def list_batches(
    caller: CallerOf,
    batches: BatchesOf,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSONObject:
    """A page of the project's batches, the newest first."""
    return await batches.page_short(caller.project.id, limit, after)


@router.get("/v1/batch/{batch_id}", summary="A batch")
async def get_batch(batch_id: str, caller: CallerOf, batches: BatchesOf) -> JSONObject:
    """Status, counts, cost so far, estimate of the end and first errors."""
    return await batches.get_short(caller.project.id, batch_id)


@router.get(
    "/v1/batch/{batch_id}/results",
    summary="Results of a batch, one JSON a line",
    response_class=Response,
    responses={200: {"content": {JSON_LINES: {}}}},
)
async def read_results(
    batch_id: str,
    caller: CallerOf,
    batches: BatchesOf,
    after: Annotated[int, Query(ge=-1)] = -1,
    limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
    follow: bool = False,
) -> Response:
    """Finished items in the order of the requests; all of them, streamed, without a limit.

    With `follow` in the order they are finished, until the batch has ended.
    """
    batch = await batches.store.get(batch_id, caller.project.id)
    if follow:
        if limit is not None or after != -1:
            raise InvalidRequestError("follow begins at the start, without a limit", param="follow")
        return StreamingResponse(batches.followed(batch, short_form.line), media_type=JSON_LINES)
    if limit is not None:
        page = await batches.results_page(batch, after, limit)
        return Response(page, media_type=JSON_LINES)
    lines = batches.results(batch, short_form.line, after)
    return StreamingResponse(lines, media_type=JSON_LINES)


@router.post("/v1/batch/{batch_id}/cancel", summary="Cancel a batch")
async def cancel_batch(batch_id: str, caller: CallerOf, batches: BatchesOf) -> JSONObject:
    """What is done stays; nothing more is begun."""
    await batches.cancel(await batches.store.get(batch_id, caller.project.id))
    return await batches.get_short(caller.project.id, batch_id)


@router.post("/v1/batch/{batch_id}/pause", summary="Pause a batch")
async def pause_batch(batch_id: str, caller: CallerOf, batches: BatchesOf) -> JSONObject:
    """Nothing more is begun until it is resumed."""
    return await batches.pause(caller.project.id, batch_id)


@router.post("/v1/batch/{batch_id}/resume", summary="Resume a paused batch")
async def resume_batch(batch_id: str, caller: CallerOf, batches: BatchesOf) -> JSONObject:
    """A paused batch goes on."""
    return await batches.resume(caller.project.id, batch_id)


@router.post("/v1/batch/{batch_id}/retry", summary="Execute failed items again")
async def retry_batch(batch_id: str, caller: CallerOf, batches: BatchesOf) -> JSONObject:
    """Failed items of a batch that has ended, once more."""
    return await batches.retry(caller.project.id, batch_id)
