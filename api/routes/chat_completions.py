"""POST /v1/chat/completions and its alias without the version."""

from starlette.routing import Route

from api.live_endpoint import LiveEndpoint

_ENDPOINT = LiveEndpoint("/v1/chat/completions", "chat.open_chat")

ROUTES = [Route("/v1/chat/completions", _ENDPOINT), Route("/chat/completions", _ENDPOINT)]
