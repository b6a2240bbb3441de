"""Anthropic's Messages API: POST /v1/messages and /v1/messages/count_tokens."""

from starlette.routing import Route

from api.live_endpoint import LiveEndpoint

ROUTES = [
    Route(
        "/v1/messages",
        LiveEndpoint("/v1/messages", lambda services: services.messages.open_messages),
    ),
    Route(
        "/v1/messages/count_tokens",
        LiveEndpoint(
            "/v1/messages/count_tokens", lambda services: services.messages.open_count_tokens
        ),
    ),
]
