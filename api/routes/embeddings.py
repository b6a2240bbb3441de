"""POST /v1/embeddings and its alias without the version, answered by the configured provider."""

from starlette.routing import Route

from api.live_endpoint import LiveEndpoint

_ENDPOINT = LiveEndpoint("/v1/embeddings", lambda services: services.embeddings.open_embeddings)

ROUTES = [Route("/v1/embeddings", _ENDPOINT), Route("/embeddings", _ENDPOINT)]
