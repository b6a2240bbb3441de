"""The server ends connections whose time is over, and no others."""

import asyncio

import uvicorn
from fastapi import FastAPI

from api.http_protocol import LiveProtocol
from api.middleware import Edge
from api.server import GentleServer
from gateway.config import Settings

GET = b"GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n"


async def test_only_connections_whose_time_is_over_are_ended() -> None:
    app = FastAPI()
    app.state.edge = Edge(Settings())
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
    config.load()
    server = GentleServer(config, app, None)
    listening = await asyncio.get_running_loop().create_server(
        lambda: LiveProtocol(config, server.server_state, {}), "127.0.0.1", 0
    )
    async with listening, asyncio.timeout(10):
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"}")
        (connection,) = server.server_state.connections
        assert isinstance(connection, LiveProtocol)
        await server.on_tick(0)
        writer.write(GET)
        await reader.readuntil(b"}")  # still there
        assert connection.ends_at is not None
        connection.ends_at -= 3600
        await server.on_tick(0)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
