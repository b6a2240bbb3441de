"""POST /v1/completions and its alias without the version: OpenAI's legacy completions."""

from starlette.routing import Route

from api.live_endpoint import LiveEndpoint

_ENDPOINT = LiveEndpoint("/v1/completions", lambda services: services.completions.open_completion)

ROUTES = [Route("/v1/completions", _ENDPOINT), Route("/completions", _ENDPOINT)]
