"""Batches in OpenAI's form: /v1/batches."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from api.batch_calls import batches_of, read_sent
from api.deps import require_caller
from gateway.batches import openai_form
from gateway.batches.batches import Batches
from gateway.context import Caller
from gateway.wire import JSONObject

router = APIRouter(tags=["batches"])

CallerOf = Annotated[Caller, Depends(require_caller)]
BatchesOf = Annotated[Batches, Depends(batches_of)]


@router.post("/v1/batches", summary="Submit a batch of a file's lines")
async def create_batch(request: Request, caller: CallerOf, batches: BatchesOf) -> JSONObject:
    """The batch; when lines of the file are bad its status is `failed`, with `errors`."""
    return await batches.create_openai(await read_sent(request, caller))


@router.get("/v1/batches", summary="Batches")
async def list_batches(
    caller: CallerOf,
    batches: BatchesOf,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSONObject:
    """A page of the project's batches, the newest first."""
    return await batches.page_openai(caller.project.id, limit, after)


@router.get("/v1/batches/{batch_id}", summary="A batch")
async def get_batch(batch_id: str, caller: CallerOf, batches: BatchesOf) -> JSONObject:
    """The batch as it is now. Raises NotFoundError."""
    return openai_form.shown(await batches.get(caller.project.id, batch_id, "openai"))


@router.post("/v1/batches/{batch_id}/cancel", summary="Cancel a batch")
async def cancel_batch(batch_id: str, caller: CallerOf, batches: BatchesOf) -> JSONObject:
    """What is done stays in the output file."""
    batch = await batches.get(caller.project.id, batch_id, "openai")
    return openai_form.shown(await batches.cancel(batch))
