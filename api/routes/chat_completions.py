"""OpenAI's chat completions, live and in the background."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.responses import JSONResponse
from starlette.routing import Route

from api.background_calls import JSON_OR_EVENTS, as_events, event_to_go_on_behind
from api.deps import require_caller, services_of
from api.live_endpoint import LiveEndpoint
from gateway.context import Caller
from gateway.errors import NotFoundError
from gateway.pipeline.background_ends import stored_error
from gateway.protocols.background import CHAT
from gateway.storage.background_store import BackgroundRow
from gateway.wire import JSONObject

_CREATE = LiveEndpoint("/v1/chat/completions", lambda services: services.background.open_chat)

ROUTES = [
    Route("/v1/chat/completions", _CREATE),
    Route("/chat/completions", _CREATE),
]

router = APIRouter(tags=["chat"])

CallerOf = Annotated[Caller, Depends(require_caller)]


@router.get(
    "/v1/chat/completions/{completion_id}",
    summary="A chat completion that is made in the background",
    response_class=Response,
    responses={200: JSON_OR_EVENTS, 202: {"content": {"application/json": {}}}},
)
async def get_completion(
    request: Request,
    completion_id: str,
    caller: CallerOf,
    stream: bool = False,
    starting_after: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """The completion, or 202 with its status while there is none; with `stream`, its events.

    Raises the error that it has ended with.
    """
    row = await _found(request, caller, completion_id)
    background = services_of(request).background
    if stream:
        after = event_to_go_on_behind(request, starting_after)
        return as_events(request, background.streamed(row, after))
    if row.has_ended and row.failure is not None:
        raise stored_error(row.failure)
    shown = await background.shown(row)
    return JSONResponse(shown, status_code=200 if row.has_ended else 202)


@router.post(
    "/v1/chat/completions/{completion_id}/cancel",
    summary="Cancel a chat completion that is made in the background",
)
async def cancel_completion(request: Request, completion_id: str, caller: CallerOf) -> JSONObject:
    """The completion as it is then; one that has ended stays as it is."""
    background = services_of(request).background
    row = await background.cancel(await _found(request, caller, completion_id))
    return await background.shown(row)


@router.delete(
    "/v1/chat/completions/{completion_id}",
    summary="Delete a chat completion that was made in the background",
)
async def delete_completion(request: Request, completion_id: str, caller: CallerOf) -> JSONObject:
    """`{"id", "object": "chat.completion.deleted", "deleted": true}`."""
    row = await _found(request, caller, completion_id)
    await services_of(request).background.delete(row)
    return {"id": row.id, "object": "chat.completion.deleted", "deleted": True}


async def _found(request: Request, caller: Caller, completion_id: str) -> BackgroundRow:
    found = await services_of(request).background.find(caller.project.id, completion_id, CHAT)
    if found is None:
        raise NotFoundError(
            f"Chat completion with id '{completion_id[:100]}' not found.", param="completion_id"
        )
    return found
