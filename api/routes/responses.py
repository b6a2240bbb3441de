"""OpenAI's Responses API: POST /v1/responses and what belongs to a stored response."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.routing import Route

from api.deps import require_caller, services_of
from api.live_endpoint import LiveEndpoint
from gateway.context import Caller
from gateway.errors import InvalidRequestError
from gateway.wire import JSONObject

_CREATE = LiveEndpoint("/v1/responses", "responses.open_response")
_COUNT = LiveEndpoint("/v1/responses/input_tokens", "responses.open_input_tokens")

ROUTES = [
    Route("/v1/responses", _CREATE),
    Route("/responses", _CREATE),
    Route("/v1/responses/input_tokens", _COUNT),
    Route("/responses/input_tokens", _COUNT),
]

router = APIRouter(tags=["responses"])

CallerOf = Annotated[Caller, Depends(require_caller)]


@router.get("/v1/responses/{response_id}", summary="A stored response")
async def get_response(
    request: Request,
    response_id: str,
    caller: CallerOf,
    include: Annotated[list[str] | None, Query()] = None,
    stream: bool = False,
) -> JSONObject:
    """The response as it was answered. Raises NotFoundError."""
    if stream:
        raise InvalidRequestError("only background responses can be streamed again", param="stream")
    encrypted = "reasoning.encrypted_content" in (include or ())
    return await services_of(request).responses.get(
        caller.project.id, response_id, encrypted=encrypted
    )


@router.delete("/v1/responses/{response_id}", summary="Delete a stored response")
async def delete_response(request: Request, response_id: str, caller: CallerOf) -> JSONObject:
    """`{"id", "object": "response", "deleted": true}`. Raises NotFoundError."""
    await services_of(request).responses.stored.delete(caller.project.id, response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@router.get("/v1/responses/{response_id}/input_items", summary="What was said to a response")
async def list_input_items(
    request: Request,
    response_id: str,
    caller: CallerOf,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
) -> JSONObject:
    """A page of the input items of a stored response."""
    page = await services_of(request).responses.stored.input_items(
        caller.project.id, response_id, after, limit, order
    )
    ids = [item.get("id") for item in page.items]
    return {
        "object": "list",
        "data": page.items,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
        "has_more": page.has_more,
    }


@router.post("/v1/responses/{response_id}/cancel", summary="Cancel a background response")
async def cancel_response(request: Request, response_id: str, caller: CallerOf) -> JSONObject:
    """Only background responses can be cancelled, and there are none yet."""
    await services_of(request).responses.get(caller.project.id, response_id, encrypted=False)
    raise InvalidRequestError("only background responses can be cancelled", param="response_id")
