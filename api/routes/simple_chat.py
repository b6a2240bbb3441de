"""POST /chat: a prompt in, a text out, for scripts and first tries."""

from starlette.routing import Route

from api.live_endpoint import LiveEndpoint

ROUTES = [Route("/chat", LiveEndpoint("/chat", lambda services: services.chat.open_simple_chat))]
