"""A server with the gateway's HTTP protocol on a real socket, and a client of it.

With what else uvicorn makes of a connection.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from api.http_protocol import LiveProtocol
from api.live_exchange import LiveExchange

Handler = Callable[[LiveExchange], Awaitable[None]]
POST = b"POST /live HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"
GET = b"GET /other HTTP/1.1\r\nhost: a\r\n\r\n"


class Application:
    """Serves /live on the short way, and the rest by ASGI."""

    def __init__(self, handler: Handler) -> None:
        self.live_handlers = {b"/live": handler}
        self.left = asyncio.Event()
        self.header_names: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.header_names = [name for name, _ in scope["headers"]]
        said = b"%b %b" % (scope["method"].encode(), scope["raw_path"])
        if scope["raw_path"] == b"/waiting":
            await receive()
            assert (await receive())["type"] == "http.disconnect"
            self.left.set()
            return
        headers = [(b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})


@asynccontextmanager
async def connected(
    handler: Handler,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client of a server with the protocol."""
    async with serving(Application(handler)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(10):
                yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def serving(app: Application) -> AsyncIterator[int]:
    """The port of a server."""
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, proxy_headers=False)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: LiveProtocol(config, state, {}), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()  # of a test that has failed
        while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.001)


async def echo(exchange: LiveExchange) -> None:
    """Answers what it was sent."""
    body = exchange.arrived()
    await exchange.answer(200, {}, await exchange.read(2**30) if body is None else body)


async def said(handler: Handler, request: bytes = POST) -> bytes:
    """Everything the server answers until it closes."""
    async with connected(handler) as (reader, writer):
        writer.write(request.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        return await reader.read()


async def one(reader: asyncio.StreamReader) -> bytes:
    """The body of the next answer, which says its length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return await reader.readexactly(int(length))
