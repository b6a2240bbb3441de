"""A small TCP proxy that stands for the network between two parts, and makes it bad on demand."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

_CHUNK_BYTES = 65_536


@dataclass
class Weather:
    """How the network is: seconds each piece is late, bytes a second, closed to everybody."""

    delay_seconds: float = 0.0
    bytes_a_second: float = 0.0
    closed: bool = False


class Proxy:
    """Forwards one port of loopback to another, in a thread of its own. Use `with`."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.weather = Weather()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> "Proxy":
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def close_port(self) -> None:
        """Refuse everybody, and reset who is connected."""
        self.weather = Weather(closed=True)
        self._call(self._close())

    def open_port(self) -> None:
        """Take connections again, in good weather."""
        self.weather = Weather()
        self._call(self._listen())

    def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        self._call(self._reset())

    # --- in the thread ---

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset()

    async def _end(self) -> None:
        await self._close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _reset(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            for each in (writer, far_writer):
                self._writers.discard(each)
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                weather = self.weather
                if weather.delay_seconds:
                    await asyncio.sleep(weather.delay_seconds)
                if weather.bytes_a_second:
                    await asyncio.sleep(len(data) / weather.bytes_a_second)
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            if writer.can_write_eof():
                writer.write_eof()
