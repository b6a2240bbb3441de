"""A bare HTTP server that does one scripted thing with each request, for faults of the wire."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gateway.upstream.transport import UpstreamResponse, UpstreamTransport

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ScriptedUpstream:
    """Answers each request by the next of its handlers, the last one over and over."""

    def __init__(self, *handlers: Handler) -> None:
        self._handlers = list(handlers)
        self.connections = 0
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.closed = asyncio.Event()
        self.base_url = ""
        self._serving: set[asyncio.Task[None]] = set()

    def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the upstream stops."""
        self._serving.add(asyncio.ensure_future(self.serve(reader, writer)))

    async def stop(self) -> None:
        """Serve no more, whatever a handler waits for."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head)
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.bodies.append(await reader.readexactly(length))
                more = len(self._handlers) > 1
                await (self._handlers.pop(0) if more else self._handlers[0])(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the test has ended
        finally:
            self.closed.set()
            writer.close()


@asynccontextmanager
async def scripted_upstream(
    *handlers: Handler, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedUpstream]:
    """A running upstream; `base_url` says where."""
    upstream = ScriptedUpstream(*handlers)
    listener = await asyncio.start_server(upstream.begin, "127.0.0.1", 0, ssl=tls)
    scheme, host = ("http", "127.0.0.1") if tls is None else ("https", "localhost")
    upstream.base_url = f"{scheme}://{host}:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        try:
            yield upstream
        finally:
            await upstream.stop()


@asynccontextmanager
async def answering(
    handler: Handler, *, idle_seconds: float = 5, tls: ssl.SSLContext | None = None
) -> AsyncIterator[UpstreamResponse]:
    """The answer to a request that `handler` answers, its head read."""
    async with (
        scripted_upstream(handler, tls=tls) as server,
        UpstreamTransport(
            server.base_url, "sk-key", first_byte_seconds=5, idle_seconds=idle_seconds
        ) as transport,
        asyncio.timeout(10),
    ):
        yield await transport.open("/v1/messages", b"{}", {})


async def write_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    """One chunk of a chunked body."""
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    await writer.drain()


def write_head(writer: asyncio.StreamWriter, status: str = "200 OK") -> None:
    """The head of a chunked answer."""
    writer.write(f"HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\n\r\n".encode())


async def write_end(writer: asyncio.StreamWriter) -> None:
    """The end of a chunked body."""
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def write_slowly(writer: asyncio.StreamWriter, pieces: int) -> None:
    """A head and these pieces, a tenth of a second after each."""
    write_head(writer)
    for _ in range(pieces):
        await write_chunk(writer, b"x")
        await asyncio.sleep(0.1)


def streams(*pieces: bytes) -> Handler:
    """A handler that answers 200 with these pieces, one chunk each."""

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        write_head(writer)
        for piece in pieces:
            await write_chunk(writer, piece)
        await write_end(writer)

    return handle


def refuses(status: str, body: bytes, *headers: str) -> Handler:
    """A handler that answers with an error body."""

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return handle


class Steps:
    """An upstream that says one piece each time it is told to."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    def say(self, piece: bytes | None) -> None:
        """The next piece; None for the end of the answer."""
        self._pieces.put_nowait(piece)

    async def __call__(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request."""
        write_head(writer)
        while (piece := await self._pieces.get()) is not None:
            await write_chunk(writer, piece)
        await write_end(writer)
