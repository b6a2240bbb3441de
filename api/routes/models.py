"""GET /v1/models in the caller's dialect: OpenAI's, or Anthropic's by its version header."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from api.deps import require_caller, services_of
from api.errors import speaks_anthropic
from gateway.catalog.models import EFFORTS, Model
from gateway.wire import JSONObject

router = APIRouter(dependencies=[Depends(require_caller)], tags=["models"])

_THINKING_TYPES = ("adaptive", "enabled", "between_tools", "disabled")


@router.get("/v1/models", summary="Model names this gateway serves")
@router.get("/models", include_in_schema=False)
async def list_models(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    after_id: str | None = None,
    before_id: str | None = None,
) -> JSONObject:
    """Prefixed and plain names and `auto`.

    Paging fields are Anthropic's (`after_id`, `before_id`, `limit`); OpenAI has none and gets all.
    """
    listed = services_of(request).names.listed()
    if speaks_anthropic("/v1/models", request.headers):
        return _anthropic_page(
            [_model_info(*entry) for entry in listed], limit, after_id, before_id
        )
    return {"object": "list", "data": [_openai_model(name, model) for name, model in listed]}


@router.get("/v1/models/{name:path}", summary="One model")
@router.get("/models/{name:path}", include_in_schema=False)
async def get_model(request: Request, name: str) -> JSONObject:
    """The model a name is served by, in the caller's dialect. Raises ModelNotFoundError."""
    names = services_of(request).names
    listed = dict(names.listed())
    model = listed[name] if name in listed else names.resolve(name).model
    if speaks_anthropic("/v1/models", request.headers):
        return _model_info(name, model)
    return _openai_model(name, model)


def _openai_model(name: str, model: Model) -> JSONObject:
    entry: JSONObject = {
        "id": name,
        "object": "model",
        "created": model.created,
        "owned_by": "anthropic",
    }
    if model.retires_on is not None:
        entry["shutdown_date"] = model.retires_on
    return entry


def _model_info(name: str, model: Model) -> JSONObject:
    """Anthropic's ModelInfo (anthropic 2.12, types/model_info.py) from the model table."""
    return {
        "type": "model",
        "id": name,
        "display_name": model.display_name or model.id,
        "created_at": datetime.fromtimestamp(model.created, UTC).isoformat(),
        "max_input_tokens": model.context_tokens,
        "max_tokens": model.max_output_tokens,
        "lifecycle": "deprecated" if model.deprecated else "active",
        "retires_at": model.retires_on,
        "capabilities": {
            "thinking": {
                "supported": bool(model.thinking),
                "types": {kind: {"supported": kind in model.thinking} for kind in _THINKING_TYPES},
            },
            "effort": {
                "supported": bool(model.efforts),
                **{level: {"supported": level in model.efforts} for level in EFFORTS},
            },
            "structured_outputs": {"supported": model.structured_output},
            "image_input": {"supported": True},
            "pdf_input": {"supported": True},
        },
    }


def _anthropic_page(
    models: list[JSONObject], limit: int, after_id: str | None, before_id: str | None
) -> JSONObject:
    ids = [model["id"] for model in models]
    start = ids.index(after_id) + 1 if after_id in ids else 0
    end = ids.index(before_id) if before_id in ids else len(ids)
    page = models[start:end][:limit]
    return {
        "data": page,
        "has_more": start + len(page) < end,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }
