"""OpenAI's Responses API: POST /v1/responses and what belongs to a stored response."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.responses import JSONResponse
from starlette.routing import Route

from api.background_calls import JSON_OR_EVENTS, as_events, event_to_go_on_behind
from api.deps import require_caller, services_of
from api.live_endpoint import LiveEndpoint
from gateway.context import Caller
from gateway.errors import InvalidRequestError
from gateway.protocols.background import RESPONSES
from gateway.storage.background_store import BackgroundRow
from gateway.wire import JSONObject

_CREATE = LiveEndpoint("/v1/responses", lambda services: services.background.open_response)
_COUNT = LiveEndpoint(
    "/v1/responses/input_tokens", lambda services: services.responses.open_input_tokens
)

ROUTES = [
    Route("/v1/responses", _CREATE),
    Route("/responses", _CREATE),
    Route("/v1/responses/input_tokens", _COUNT),
    Route("/responses/input_tokens", _COUNT),
]

router = APIRouter(tags=["responses"])

CallerOf = Annotated[Caller, Depends(require_caller)]


@router.get(
    "/v1/responses/{response_id}",
    summary="A stored response",
    response_class=Response,
    responses={200: JSON_OR_EVENTS},
)
async def get_response(
    request: Request,
    response_id: str,
    caller: CallerOf,
    include: Annotated[list[str] | None, Query()] = None,
    stream: bool = False,
    starting_after: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """The response as it was answered, or as it stands; with `stream`, the events of one in the
    background, behind number `starting_after`. Raises NotFoundError.
    """
    services = services_of(request)
    encrypted = "reasoning.encrypted_content" in (include or ())
    row = await _in_background(request, caller, response_id)
    if row is None:
        if stream:
            raise InvalidRequestError(
                "only background responses can be streamed again", param="stream"
            )
        project = caller.project.id
        shown = await services.responses.get(project, response_id, encrypted=encrypted)
    elif stream:
        after = event_to_go_on_behind(request, starting_after)
        return as_events(request, services.background.streamed(row, after))
    else:
        shown = await services.background.shown(row, encrypted=encrypted)
    return JSONResponse(shown)


@router.delete("/v1/responses/{response_id}", summary="Delete a stored response")
async def delete_response(request: Request, response_id: str, caller: CallerOf) -> JSONObject:
    """`{"id", "object": "response", "deleted": true}`. Raises NotFoundError."""
    row = await _in_background(request, caller, response_id)
    if row is None:
        await services_of(request).responses.stored.delete(caller.project.id, response_id)
    else:
        await services_of(request).background.delete(row)
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
    services = services_of(request)
    row = await _in_background(request, caller, response_id)
    if row is None:
        stored, project = services.responses.stored, caller.project.id
        page = await stored.input_items(project, response_id, after, limit, order)
    else:
        page = await services.background.input_items(row, after, limit, order)
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
    """The response as it is then; one that has ended stays as it is. Raises NotFoundError."""
    services = services_of(request)
    row = await _in_background(request, caller, response_id)
    if row is None:
        await services.responses.get(caller.project.id, response_id, encrypted=False)
        raise InvalidRequestError("only background responses can be cancelled", param="response_id")
    return await services.background.shown(await services.background.cancel(row), encrypted=False)


async def _in_background(
    request: Request, caller: Caller, response_id: str
) -> BackgroundRow | None:
    """The response when it is one in the background."""
    return await services_of(request).background.find(caller.project.id, response_id, RESPONSES)
