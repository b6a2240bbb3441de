"""The ASGI application: routes, keys, errors, records."""

import hashlib
import hmac

from simulator.control import PREFIX, control
from simulator.errors import ApiError
from simulator.exchange import ClientLeft, Exchange, Receive, Scope, Send
from simulator.instant import answer_instantly
from simulator.message_batches_api import PATH as _BATCHES
from simulator.message_batches_api import message_batches
from simulator.messages_api import count_tokens, create_message
from simulator.models_api import get_model, list_models
from simulator.state import State

_MODELS = "/v1/models"
_MESSAGES = "/v1/messages"
_COUNT = "/v1/messages/count_tokens"
_OPEN_PATHS = {"/", "/api/hello", "/health"}


class Simulator:
    """The application for one `State`."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._numbers = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry: HTTP, and the lifespan messages."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        settings = self.state.settings
        if settings.instant and scope["path"] == _MESSAGES and scope["method"] == "POST":
            self.state.counters.requests += 1
            await answer_instantly(self.state, scope, receive, send)
            return
        self._numbers += 1
        await self._answer(Exchange(scope, receive, send, self._numbers))

    async def _answer(self, exchange: Exchange) -> None:
        recorded = self.state.settings.record and not exchange.path.startswith(PREFIX)
        if not exchange.path.startswith(PREFIX):
            self.state.counters.requests += 1
        if recorded:
            self.state.recorder.add(exchange.record)
        try:
            await self._route(exchange)
        except ApiError as error:
            self.state.counters.errors += 1
            await exchange.answer_error(error)
        except ClientLeft:
            self.state.counters.clients_left += 1

    async def _route(self, exchange: Exchange) -> None:
        path = exchange.path.rstrip("/") or "/"
        if path in _OPEN_PATHS:
            await _probe(exchange)
        elif path.startswith(PREFIX.rstrip("/")) and self.state.settings.control:
            await control(self.state, exchange)
        else:
            await self._api(exchange, path)

    async def _api(self, exchange: Exchange, path: str) -> None:
        if path in (_MESSAGES, _COUNT):
            _require(exchange, "POST")
            account = self._account(exchange)
            handler = create_message if path == _MESSAGES else count_tokens
            await handler(self.state, exchange, account)
        elif path == _BATCHES or path.startswith(f"{_BATCHES}/"):
            await message_batches(self.state, exchange, path, self._account(exchange))
        elif path == _MODELS or path.startswith(f"{_MODELS}/"):
            _require(exchange, "GET")
            self._account(exchange)
            if path == _MODELS:
                await list_models(self.state, exchange)
            else:
                await get_model(self.state, exchange, path.removeprefix(f"{_MODELS}/"))
        else:
            raise ApiError(404, "Not Found")

    def _account(self, exchange: Exchange) -> str:
        """Checks the key; the account it stands for."""
        scheme, _, token = exchange.headers.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        key = exchange.headers.get("x-api-key", "") or bearer
        if not key:
            raise ApiError(401, "x-api-key header is required")
        expected = self.state.settings.api_key
        if expected is not None and not hmac.compare_digest(key.encode(), expected.encode()):
            raise ApiError(401, "Invalid bearer token" if bearer else "invalid x-api-key")
        return hashlib.sha256(key.encode()).hexdigest()


def _require(exchange: Exchange, method: str) -> None:
    if exchange.method != method:
        raise ApiError(405, "Method Not Allowed")


async def _probe(exchange: Exchange) -> None:
    if exchange.method not in ("GET", "HEAD"):
        raise ApiError(405, "Method Not Allowed")
    await exchange.answer_json(200, {"status": "ok", "service": "simulator"})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
