"""Descriptions of the hot routes, which FastAPI cannot read off a plain ASGI endpoint."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.docstrings import add_docstrings
from api.openapi_openai import (
    ACCEPTED_COMPLETION,
    COMPLETION_ANSWER,
    COMPLETION_REQUEST,
    EMBEDDING_ANSWER,
    EMBEDDING_REQUEST,
    INPUT_TOKENS_ANSWER,
    RESPONSE_ANSWER,
    RESPONSE_REQUEST,
)

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_CHAT_REQUEST = {
    "type": "object",
    "required": ["model"],
    "anyOf": [{"required": ["messages"]}, {"required": ["input"]}],
    "properties": {
        "model": {"type": "string"},
        "messages": {"type": "array", "items": {"type": "object"}, "minItems": 1},
        "input": {
            "description": "In place of messages: items of the Responses API, as Cursor sends them",
            "type": ["array", "string"],
        },
        "stream": {"type": ["boolean", "null"]},
        "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1},
        "tools": {"type": ["array", "null"], "items": {"type": "object"}},
    },
    "additionalProperties": True,
}
_CHAT_ANSWER = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"],
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "chat.completion"},
        "created": {"type": "integer"},
        "model": {"type": "string"},
        "choices": {"type": "array", "items": {"type": "object"}},
        "usage": {"type": "object"},
    },
}
_SIMPLE_REQUEST = {
    "type": "object",
    "required": ["prompt"],
    "properties": {
        "prompt": {"type": "string", "minLength": 1},
        "system": {"type": ["string", "null"]},
        "model": {"type": "string"},
        "max_tokens": {"type": ["integer", "null"], "minimum": 1},
    },
    "additionalProperties": False,
}
_SIMPLE_ANSWER = {
    "type": "object",
    "required": ["text", "model", "usage"],
    "properties": {
        "text": {"type": "string"},
        "model": {"type": "string"},
        "usage": {"type": "object"},
    },
}


_MESSAGES_REQUEST = {
    "type": "object",
    "required": ["model", "messages", "max_tokens"],
    "properties": {
        "model": {"type": "string", "minLength": 1},
        "messages": {"type": "array", "items": {"type": "object"}},
        "max_tokens": {"type": "integer", "minimum": 0},
        "stream": {"type": "boolean"},
    },
    "additionalProperties": True,
}
_MESSAGES_ANSWER = {
    "type": "object",
    "required": ["id", "type", "role", "content", "model", "stop_reason", "usage"],
    "properties": {
        "id": {"type": "string"},
        "type": {"const": "message"},
        "role": {"const": "assistant"},
        "content": {"type": "array", "items": {"type": "object"}},
        "model": {"type": "string"},
        "usage": {"type": "object"},
    },
}
_COUNT_REQUEST = {
    "type": "object",
    "required": ["model", "messages"],
    "properties": {"model": {"type": "string", "minLength": 1}},
    "additionalProperties": True,
}
_COUNT_ANSWER = {
    "type": "object",
    "required": ["input_tokens"],
    "properties": {"input_tokens": {"type": "integer"}},
}
_ANTHROPIC_ERROR = {
    "type": "object",
    "required": ["type", "error"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
    },
}


_EVENTS = {"description": "Server-sent events of the protocol"}


def describe_hot_routes(app: FastAPI) -> None:
    """Add the hot routes to the OpenAPI document of `app`."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
            _correct_errors(schema)
            add_docstrings(schema, app.routes)
            schema["paths"] |= _hot_paths()
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # FastAPI's documented way to extend it


def _correct_errors(schema: dict[str, Any]) -> None:
    """Replace FastAPI's 422 by what is really answered: errors in the caller's shape."""
    for path, operations in schema["paths"].items():
        error = _ANTHROPIC_ERROR if path.startswith("/v1/messages") else _ERROR
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"] |= _error_answers(error)
    for unused in ("HTTPValidationError", "ValidationError"):
        schema.get("components", {}).get("schemas", {}).pop(unused, None)


def _error_answers(error_schema: dict[str, Any]) -> dict[str, Any]:
    answer = {"description": "Error", "content": {"application/json": {"schema": error_schema}}}
    return {"4XX": answer, "5XX": answer}


def _hot_paths() -> dict[str, Any]:
    chat = _operation("Chat completion in OpenAI's shape", _CHAT_REQUEST, _CHAT_ANSWER)
    messages = _operation(
        "Anthropic Messages, byte for byte", _MESSAGES_REQUEST, _MESSAGES_ANSWER, _ANTHROPIC_ERROR
    )
    count = _operation("Anthropic's token count", _COUNT_REQUEST, _COUNT_ANSWER, _ANTHROPIC_ERROR)
    completion = _operation(
        "Legacy completion of a prompt, or of the gap before a suffix",
        COMPLETION_REQUEST,
        COMPLETION_ANSWER,
    )
    embeddings = _operation(
        "Embeddings of the configured provider; 501 without one",
        EMBEDDING_REQUEST,
        EMBEDDING_ANSWER,
    )
    response = _operation("OpenAI's Responses API", RESPONSE_REQUEST, RESPONSE_ANSWER)
    input_tokens = _operation(
        "Tokens a response's input would take", RESPONSE_REQUEST, INPUT_TOKENS_ANSWER
    )
    chat["parameters"] = [
        {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": "respond-async: answer at once, and make the completion afterwards",
        }
    ]
    chat["responses"]["202"] = {
        "description": "Accepted; the completion is read at Location",
        "content": {"application/json": {"schema": ACCEPTED_COMPLETION}},
    }
    for streamed in (chat, messages, completion, response):
        streamed["responses"]["200"]["content"]["text/event-stream"] = {"schema": _EVENTS}
    return {
        "/v1/chat/completions": {"post": chat},
        "/v1/completions": {"post": completion},
        "/v1/embeddings": {"post": embeddings},
        "/v1/responses": {"post": response},
        "/v1/responses/input_tokens": {"post": input_tokens},
        "/v1/messages": {"post": messages},
        "/v1/messages/count_tokens": {"post": count},
        "/chat": {"post": _operation("A prompt in, a text out", _SIMPLE_REQUEST, _SIMPLE_ANSWER)},
    }


def _operation(
    summary: str,
    request: dict[str, Any],
    answer: dict[str, Any],
    error_schema: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "summary": summary,
        "tags": ["chat"],
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {
            "200": {
                "description": "The answer",
                "content": {"application/json": {"schema": answer}},
            },
            **_error_answers(error_schema or _ERROR),
        },
    }
