"""The floor: a proxy that forwards bytes and looks at none, as cheap as asyncio on uvloop gets.

`python -m bench.forwarding_proxy --upstream-port N` prints its port on standard output. Each client
connection has one upstream connection. It ends when its standard input does.
"""

import argparse
import asyncio
import gc
import sys
from typing import cast

import uvloop

_LOOPBACK = "127.0.0.1"
_BACKLOG = 1024


class _Upstream(asyncio.Protocol):
    """The connection to the upstream; what comes in goes to the client."""

    def __init__(self, client: asyncio.Transport) -> None:
        self._client = client
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._client.close()


class _Client(asyncio.Protocol):
    """A client's connection; what comes before the upstream is there waits for it."""

    def __init__(self, upstream_port: int) -> None:
        self._port = upstream_port
        self._early: list[bytes] = []
        self._upstream: asyncio.Transport | None = None
        self._transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._opening = asyncio.ensure_future(self._open(self._transport))

    async def _open(self, client: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, protocol = await loop.create_connection(
                lambda: _Upstream(client), _LOOPBACK, self._port
            )
        except OSError:
            client.close()
            return
        self._upstream = protocol.transport
        if self._upstream is not None:
            self._upstream.writelines(self._early)
            self._early.clear()

    def data_received(self, data: bytes) -> None:
        if self._upstream is None:
            self._early.append(data)
        else:
            self._upstream.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._upstream is not None:
            self._upstream.close()
        elif self._opening is not None:
            self._opening.cancel()


async def serve(upstream_port: int) -> None:
    """Forwards until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Client(upstream_port), _LOOPBACK, 0, backlog=_BACKLOG
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    gc.freeze()
    async with server:
        await loop.run_in_executor(None, sys.stdin.buffer.read)


def main() -> None:
    """The command line."""
    command = argparse.ArgumentParser(prog="python -m bench.forwarding_proxy")
    command.add_argument("--upstream-port", type=int, required=True)
    uvloop.run(serve(command.parse_args().upstream_port))


if __name__ == "__main__":
    main()
