"""Valkey for live requests: one pipelined connection a process, at most 100 ms late, once.

A failure opens a local breaker: calls fail at once while a background task connects anew and asks
for a PING, and work again, without a restart, as soon as that is answered. One log line for each
change of state. Redis is spoken to in the same way.
"""

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from gateway.config.valkey_url import ValkeyAddress, parse_valkey_url
from gateway.storage.valkey_connection import (
    Argument,
    Command,
    ValkeyConnection,
    ValkeyDown,
    ValkeyRefused,
    failed,
    packed,
)
from gateway.structs import Struct

__all__ = ["Script", "ScriptCall", "Valkey", "ValkeyDown", "ValkeyRefused"]

_log = logging.getLogger("gateway.valkey")

_CONNECT_SECONDS = 1.0  # nobody waits for it but the background task and the start
_FIRST_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 2.0
_SLOW_SERVER_PAUSE_SECONDS = 1.0
_STABLE_AFTER_SECONDS = 10.0


class Script(Struct, frozen=True):
    """A Lua script and the digest the server knows it by."""

    source: str
    digest: str

    @classmethod
    def of(cls, source: str) -> "Script":
        """The script with that text."""
        digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        return cls(source, digest)


class ScriptCall(Struct, frozen=True):
    """A call of a script as it goes over the wire; `fallback` is for a server that lost it."""

    packed: bytes
    fallback: tuple[Argument, ...]

    @classmethod
    def of(cls, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> "ScriptCall":
        """The call with these keys and arguments."""
        operands = (len(keys), *keys, *arguments)
        command = ("EVALSHA", script.digest, *operands)
        return cls(packed(command), ("EVAL", script.source, *operands))


class Valkey:
    """A client of one server. `start()`, then `call()`; `close()` at the end.

    `on_change(is_up)` is called at every change of state. `calls` counts commands, `round_trips`
    the times somebody had to wait for the wire: commands that leave together count once.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = 0.1,
        on_change: Callable[[bool], None] | None = None,
    ) -> None:
        self._address: ValkeyAddress = parse_valkey_url(url)
        self._timeout_seconds = timeout_seconds
        self._on_change = on_change
        self._scripts: list[Script] = []
        self._connection: ValkeyConnection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._known_up: bool | None = None
        self._changed_at = time.monotonic()
        self._past_round_trips = 0
        self.calls = 0

    @property
    def is_up(self) -> bool:
        """True while calls are sent; false while they fail at once."""
        return self._connection is not None

    @property
    def round_trips(self) -> int:
        """Writes to the wire since the start."""
        current = self._connection.round_trips if self._connection is not None else 0
        return self._past_round_trips + current

    def register(self, script: Script) -> None:
        """Have `script` loaded at each connect; before `start()`."""
        self._scripts.append(script)

    async def start(self) -> None:
        """Connect; returns after the first attempt, also when that failed (`is_up` tells)."""
        tried = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep_connected(tried), name="valkey")
        self._keeper.add_done_callback(lambda _: tried.set())
        await tried.wait()

    async def close(self) -> None:
        """Close the connection; calls fail from here on."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        if self._connection is not None:
            connection = self._forget_connection()
            connection.close()

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        """The future reply to one command, which is sent without waiting for an await.

        Replies are bytes, int, None or lists of them. The future fails with ValkeyDown, or with
        ValkeyRefused when the server answered an error.
        """
        return self._send(command, None)

    def evalsha(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> asyncio.Future[Any]:
        """The future result of `script`; one round trip, two after the server lost its scripts."""
        return self.run(ScriptCall.of(script, keys, arguments))

    def run(self, call: "ScriptCall") -> asyncio.Future[Any]:
        """`evalsha` of a call that is made more than once."""
        return self._send(call.packed, call.fallback)

    def _send(self, command: Command, fallback: tuple[Argument, ...] | None) -> asyncio.Future[Any]:
        self.calls += 1
        if self._connection is None:
            return failed(asyncio.get_running_loop(), ValkeyDown("Valkey is not reachable"))
        return self._connection.send(command, fallback)

    # --- keeping the connection ---

    async def _keep_connected(self, tried: asyncio.Event) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                connection = await self._connect()
            except (OSError, ValkeyDown) as error:
                self._note_state(False, _reason(error))
                tried.set()
                await asyncio.sleep(_jittered(backoff))
                backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)
                continue
            connected_at = time.monotonic()
            tried.set()
            await self._lost.wait()
            if time.monotonic() - connected_at > _STABLE_AFTER_SECONDS:
                backoff = _FIRST_BACKOFF_SECONDS
            if connection.timed_out:
                # A server that is slow rather than gone must not be tried, and fail, every moment.
                backoff = max(backoff, _SLOW_SERVER_PAUSE_SECONDS)
            await asyncio.sleep(_jittered(backoff))
            backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)

    async def _connect(self) -> ValkeyConnection:
        """A connection that has answered a PING, installed. Raises OSError or ValkeyDown."""
        address = self._address
        loop = asyncio.get_running_loop()
        self._lost.clear()

        def protocol() -> ValkeyConnection:
            return ValkeyConnection(self._timeout_seconds, self._connection_lost)

        async with asyncio.timeout(_CONNECT_SECONDS):
            if address.path is not None:
                _, connection = await loop.create_unix_connection(protocol, address.path)
            else:
                _, connection = await loop.create_connection(
                    protocol, address.host, address.port, ssl=address.tls
                )
        try:
            await self._greet(connection)
        except BaseException:
            connection.close()
            raise
        if connection.is_lost:
            raise ValkeyDown("Valkey went away while it was greeted")
        self._connection = connection
        self._note_state(True, "")
        return connection

    async def _greet(self, connection: ValkeyConnection) -> None:
        """Log in, choose the database, load the scripts, and see that the server answers."""
        address = self._address
        required = []
        if address.password is not None:
            login = (
                (address.username, address.password) if address.username else (address.password,)
            )
            required.append(connection.send(("AUTH", *login)))
        if address.database:
            required.append(connection.send(("SELECT", address.database)))
        # An access list may forbid these two; names are a courtesy and EVAL loads scripts as well.
        optional = [connection.send(("CLIENT", "SETNAME", "coding-gateway"))]
        optional += [connection.send(("SCRIPT", "LOAD", item.source)) for item in self._scripts]
        required.append(connection.send(("PING",)))
        await asyncio.gather(*optional, return_exceptions=True)
        for reply in required:
            await reply

    def _connection_lost(self, connection: ValkeyConnection, reason: str) -> None:
        if connection is self._connection:
            self._forget_connection()
            self._note_state(False, reason)
            self._lost.set()

    def _forget_connection(self) -> ValkeyConnection:
        connection = self._connection
        assert connection is not None  # noqa: S101 - both callers have looked
        self._past_round_trips += connection.round_trips
        self._connection = None
        return connection

    def _note_state(self, is_up: bool, reason: str) -> None:
        if self._known_up is is_up:
            return
        now = time.monotonic()
        if is_up:
            down_seconds = 0.0 if self._known_up is None else now - self._changed_at
            _log.info(
                "valkey_up",
                extra={"address": self._address.label, "down_seconds": round(down_seconds, 3)},
            )
        else:
            _log.warning("valkey_down", extra={"address": self._address.label, "reason": reason})
        self._known_up = is_up
        self._changed_at = now
        if self._on_change is not None:
            self._on_change(is_up)


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - spreads reconnects, guards nothing


def _reason(error: OSError | ValkeyDown) -> str:
    """Why a connect failed; of the server's own words only the code, such as WRONGPASS."""
    if isinstance(error, ValkeyRefused):
        return error.detail.split(" ", 1)[0]
    if isinstance(error, ValkeyDown):
        return error.detail or error.message
    return error.strerror or type(error).__name__
