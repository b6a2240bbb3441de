"""Serves the API and ends it gently: `python -m api.server`, used by every way of starting it.

Told to stop, a process first answers on with `connection: close` and says that it is not ready, so
that clients and load balancers go elsewhere; then it takes no more connections; then open streams
have SHUTDOWN_GRACE_SECONDS to end. No request that was sent meanwhile is lost.
"""

import argparse
import asyncio
import socket
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.http_protocol import LiveProtocol

_DRAIN_SECONDS = 1.0  # clients that are at work come back sooner
_ACCEPTED_SECONDS = 0.3  # what was accepted at the last moment has sent its request by then
_LOOK_SECONDS = 0.05
_TICKS_A_LOOK = 50  # of 0.1 s


class GentleServer(uvicorn.Server):
    """A server whose end no client notices, and that bounds what a client may leave unsaid.

    `ready_file` is made when it serves.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, ready_file: Path | None) -> None:
        super().__init__(config)
        self._edge = app.state.edge
        self._ready_file = ready_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve, and say so."""
        await super().startup(sockets)
        if self.started and self._ready_file is not None:
            self._ready_file.touch()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, stop to accept, end."""
        self._edge.is_draining = True
        await self._while_connected(_DRAIN_SECONDS)
        for server in self.servers:
            server.close()
        await self._while_connected(_ACCEPTED_SECONDS)
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Every tenth of a second."""
        if counter % _TICKS_A_LOOK == 0:
            self._end_silent()
        return await super().on_tick(counter)

    async def _while_connected(self, seconds: float) -> None:
        """Wait so long, less when nobody is connected or a second signal is in a hurry."""
        for _ in range(round(seconds / _LOOK_SECONDS)):
            if not self.server_state.connections or self.force_exit:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def _end_silent(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, LiveProtocol):
                connection.look(now)


def main(arguments: list[str] | None = None) -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="api.server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--fd", type=int, help="a listening socket that is inherited")
    parser.add_argument("--ready-file", type=Path, help="made when it serves")
    chosen = parser.parse_args(arguments)
    app = create_app()
    config = uvicorn.Config(
        app,
        host=chosen.host,
        port=chosen.port,
        fd=chosen.fd,
        loop="uvloop",
        http=LiveProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,  # the application's own, which never shows what a client sent
        server_header=False,
        date_header=False,
        proxy_headers=False,
        log_level="warning",
        timeout_graceful_shutdown=round(app.state.settings.shutdown_grace_seconds),
    )
    server = GentleServer(config, app, chosen.ready_file)
    server.run()
    if not server.started:
        sys.exit(3)


if __name__ == "__main__":
    main()
