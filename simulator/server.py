"""Runs the simulator on uvicorn, and tells where it listens."""

import asyncio
import contextlib
import gc
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from simulator.app import Simulator
from simulator.exchange import TRANSPORT_KEY
from simulator.state import Settings, new_state
from simulator.wire import Json, dumps_text

_BACKLOG = 2048
_GRACE_SECONDS = 2


class SimulatorProtocol(HttpToolsProtocol):
    """Hands the transport to the application, so that it can cut or reset a connection."""

    def on_message_begin(self) -> None:
        """Adds the transport to the scope of each request."""
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment] # a TypedDict is a dict
        scope[TRANSPORT_KEY] = self.transport


def bind(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    return sock


def announcement(host: str, port: int) -> Json:
    """What is told about a running simulator."""
    shown = f"[{host}]" if ":" in host else host
    return {
        "event": "listening",
        "host": host,
        "port": port,
        "base_url": f"http://{shown}:{port}",
    }


def serve(settings: Settings, host: str, port: int, port_file: Path | None) -> None:
    """Serves until it is told to stop; the address goes to stdout as one line of JSON."""
    sock = bind(host, port)
    config = uvicorn.Config(
        Simulator(new_state(settings)),
        http=SimulatorProtocol,
        ws="none",
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=75,
    )
    gc.freeze()
    interrupted = contextlib.suppress(KeyboardInterrupt)  # Ctrl-C is the usual way to stop
    with interrupted, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(uvicorn.Server(config), sock, host, port_file))


async def _run(
    server: uvicorn.Server, sock: socket.socket, host: str, port_file: Path | None
) -> None:
    """Serves on a listening socket; it accepts connections before the address is told."""
    sock.listen(_BACKLOG)
    line = dumps_text(announcement(host, sock.getsockname()[1])) + "\n"
    if port_file is not None:
        partial = port_file.with_suffix(port_file.suffix + ".part")
        partial.write_text(line, encoding="utf-8")
        partial.replace(port_file)
    sys.stdout.write(line)
    sys.stdout.flush()
    await server.serve(sockets=[sock])
