"""A connection of its own that listens to one channel, for as long as the process runs."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

import hiredis

from gateway.config.valkey_url import ValkeyAddress, parse_valkey_url
from gateway.storage.valkey_connection import Argument, packed

_log = logging.getLogger("gateway.valkey")

_CONNECT_SECONDS = 1.0
_PING_SECONDS = 5.0
_SILENT_SECONDS = 12.0  # two pings without an answer: it hangs
_FIRST_BACKOFF_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 5.0
_READ_BYTES = 65_536


class ValkeySubscriber:
    """Gives `on_message` the body of each message of `channel`.

    `on_listening` is awaited each time it listens anew: what was said meanwhile has been missed.
    """

    def __init__(
        self,
        url: str,
        channel: str,
        on_message: Callable[[bytes], None],
        on_listening: Callable[[], Awaitable[None]],
    ) -> None:
        self._address: ValkeyAddress = parse_valkey_url(url)
        self._channel = channel
        self._on_message = on_message
        self._on_listening = on_listening
        self._listens: bool | None = None

    async def run(self) -> None:
        """Listens until cancelled; a server that is away costs a try now and then."""
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                await self._listen()
            except (OSError, EOFError, TimeoutError, hiredis.HiredisError) as error:
                if self._listens:
                    backoff = _FIRST_BACKOFF_SECONDS
                self._note(listens=False, reason=type(error).__name__)
            await asyncio.sleep(backoff * random.uniform(0.8, 1.2))  # noqa: S311 - spreads processes
            backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)

    async def _listen(self) -> None:
        """One connection to its end, which always is an error."""
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await self._opened()
        pinging = asyncio.ensure_future(_ping(writer))
        replies = hiredis.Reader()
        try:
            writer.write(self._greeting())
            while data := await _read(reader):
                replies.feed(data)
                while (reply := replies.gets()) is not False:
                    await self._take(reply)
            raise EOFError
        finally:
            pinging.cancel()
            writer.close()

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = self._address
        if address.path is not None:
            return await asyncio.open_unix_connection(address.path)
        return await asyncio.open_connection(address.host, address.port, ssl=address.tls)

    def _greeting(self) -> bytes:
        address = self._address
        commands: list[tuple[Argument, ...]] = []
        if address.password is not None:
            login = (address.username,) if address.username else ()
            commands.append(("AUTH", *login, address.password))
        commands.append(("SUBSCRIBE", self._channel))
        return b"".join(packed(command) for command in commands)

    async def _take(self, reply: object) -> None:
        if isinstance(reply, hiredis.ReplyError):
            raise EOFError(str(reply).split(" ", 1)[0])
        if not isinstance(reply, list) or len(reply) != 3:
            return  # the answer to a login or a ping
        kind, _, body = reply
        if kind == b"message":
            self._on_message(body)
        elif kind == b"subscribe":
            self._note(listens=True)
            await self._on_listening()

    def _note(self, *, listens: bool, reason: str = "") -> None:
        if self._listens is not listens:
            if self._listens is not None or not listens:
                extra = {"listens": listens, "channel": self._channel, "reason": reason}
                _log.log(
                    logging.INFO if listens else logging.WARNING, "valkey_channel", extra=extra
                )
            self._listens = listens


async def _read(reader: asyncio.StreamReader) -> bytes:
    # Not `wait_for`, which in Python 3.11 swallows a cancellation that comes with the data.
    async with asyncio.timeout(_SILENT_SECONDS):
        return await reader.read(_READ_BYTES)


async def _ping(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(_PING_SECONDS)
        writer.write(packed(("PING",)))
