"""Why a model was chosen: GET and POST /admin/routing/explain."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from api.deps import context_of, require_admin, services_of
from api.request_body import AsgiBody, read_body
from gateway import wire
from gateway.context import Caller
from gateway.protocols.chat_dialects import translate
from gateway.routing.replay import RoutingExplanations

router = APIRouter(tags=["routing"])

_CHAT = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "required": ["messages"]}}},
    }
}


def _explanations(request: Request) -> RoutingExplanations:
    explanations: RoutingExplanations = request.app.state.services.routing
    return explanations


Explanations = Annotated[RoutingExplanations, Depends(_explanations)]
Admin = Annotated[Caller, Depends(require_admin)]
Conversation = Annotated[
    str | None, Query(description="Identity of the conversation in hex digits, as in usage rows")
]


@router.get("/admin/routing/explain", dependencies=[Depends(require_admin)])
async def explain_past(
    explanations: Explanations,
    conversation: Conversation = None,
    request_id: Annotated[str | None, Query(description="X-Request-Id of an answer")] = None,
) -> dict[str, Any]:
    """How the requests of a conversation, or one request, found their model."""
    return await explanations.past(conversation, request_id)


@router.post("/admin/routing/explain", openapi_extra=_CHAT)
async def explain_now(
    request: Request,
    explanations: Explanations,
    admin: Admin,
    conversation: Conversation = None,
    project: Annotated[str | None, Query(description="As if this project asked")] = None,
    cached_tokens: Annotated[
        int | None, Query(ge=0, description="For the price of a switch; the prompt when left out")
    ] = None,
) -> dict[str, Any]:
    """What would be decided for a chat completion now, and why. Nothing is sent or stored."""
    services = services_of(request)
    limit = services.settings.max_body_bytes
    body = await read_body(AsgiBody(request.receive), context_of(request), limit)
    draft = translate(wire.loads_object(body))
    asking = services.projects.policy(project) if project else admin.project
    return explanations.now(draft, asking, conversation, cached_tokens)
