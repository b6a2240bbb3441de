"""Where turns are kept: memory of this process, Valkey, PostgreSQL behind it.

A look-up costs one Valkey round trip for all turns of a history, none when this process made them
all. PostgreSQL is asked for what Valkey does not know, and what it does not know either is
remembered, so that clients whose turns were never stored cost no query a request. Writes go to
Valkey at once and to PostgreSQL in batches; nobody waits for either.

Every entry is sealed for its project and key: an entry under another name opens as nothing.
"""

import asyncio
import logging
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime

from gateway.errors import GatewayError
from gateway.storage.sealed import Seals
from gateway.storage.shared_lookup import SharedLookup, Values
from gateway.storage.shelf import Allowance, Shelf
from gateway.storage.turn_store import TurnRow, TurnTable
from gateway.storage.valkey import Valkey, ValkeyDown
from gateway.turns.turn import Turn, dump_turn, load_turn
from gateway.turns.write_behind import WriteBehind

_log = logging.getLogger("gateway.turns")

MAX_TURNS = 256
"""The most turns one look-up asks for: the newest ones."""

MAX_TURN_BYTES = 2**20
"""A turn that is longer, as JSON, is not stored."""

_LOCAL_ENTRIES = 20_000
_LOCAL_BYTES = 16 * 2**20  # of JSON; as objects it is some three times that
_UNKNOWN_ENTRIES = 10_000
_UNKNOWN_SECONDS = 600.0
_QUERY_SECONDS = 0.3
_PAUSE_SECONDS = 5.0  # without PostgreSQL after it did not answer
_QUERIES_PER_SECOND = 20.0
_QUERIES_AT_ONCE = 100.0

_Name = tuple[str, str]  # project, key


class TurnStore:
    """Keeps turns for `ttl_seconds`. Start `run()` as a task; `finish()` at the end.

    `postgres_reads` counts queries of look-ups.
    """

    def __init__(
        self,
        valkey: Valkey,
        table: TurnTable,
        seals: Seals,
        *,
        ttl_seconds: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._valkey = valkey
        self._table = table
        self._seals = seals
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._local: Shelf[_Name, Turn] = Shelf(
            max_entries=_LOCAL_ENTRIES, max_size=_LOCAL_BYTES, clock=clock
        )
        self._unknown: Shelf[_Name, bool] = Shelf(max_entries=_UNKNOWN_ENTRIES, clock=clock)
        self._allowance = Allowance(_QUERIES_PER_SECOND, _QUERIES_AT_ONCE, clock)
        self._postgres_at = clock()
        self._postgres_answers = True
        self.writes: WriteBehind[TurnRow] = WriteBehind("turns", table.save)
        self.postgres_reads = 0

    async def run(self) -> None:
        """Writes turns to PostgreSQL until cancelled."""
        await self.writes.run()

    async def finish(self) -> None:
        """Writes what is left."""
        await self.writes.finish()

    def look_up(
        self, project: str, keys: Sequence[str], shared: SharedLookup | None = None
    ) -> "TurnLookup":
        """The turns under `keys`, oldest first, of which the newest are asked for.

        Sent now, or with what else is `shared`.
        """
        found: dict[str, Turn] = {}
        missing: list[str] = []
        for key in dict.fromkeys(keys):
            turn = self._local.get((project, key))
            if turn is not None:
                found[key] = turn
            else:
                missing.append(key)
        missing = missing[-MAX_TURNS:]
        names = [_valkey_name(project, key) for key in missing]
        reply: Awaitable[Values] | None = None
        if names:
            reply = shared.ask(names) if shared else self._valkey.call("MGET", *names)
        return TurnLookup(self, project, found, missing, reply)

    def save(self, project: str, key: str, turn: Turn, *, keep_behind: bool = True) -> None:
        """Stores a turn. `keep_behind=False` for one whose loss changes nothing."""
        data = dump_turn(turn)
        if len(data) > MAX_TURN_BYTES:
            return
        name = (project, key)
        self._local.put(name, turn, self._ttl_seconds, len(data))
        self._unknown.drop(name)
        sealed = self._seals.seal(zlib.compress(data, 1), _context(project, key))
        self._into_valkey(project, key, sealed, self._ttl_seconds)
        if keep_behind:
            expires_at = datetime.fromtimestamp(time.time() + self._ttl_seconds, UTC)
            row = TurnRow(project, key, sealed, expires_at)
            self.writes.put(name, row, len(sealed))

    def renew(self, project: str, used: Iterable[tuple[str, Turn]], now: int) -> None:
        """Stores turns anew that were used in the second half of their time."""
        for key, turn in used:
            if now - turn.stored_at > self._ttl_seconds // 2:
                self.save(project, key, turn.renewed(now))

    # --- for TurnLookup ---

    def opened(self, project: str, key: str, sealed: bytes | str) -> Turn | None:
        """The turn in a stored text, kept in memory from now on."""
        text = sealed if isinstance(sealed, str) else sealed.decode("ascii", "replace")
        data = self._seals.open(text, _context(project, key))
        if data is None:
            return None
        plain = zlib.decompress(data)
        turn = load_turn(plain)
        if turn is not None:
            seconds = turn.stored_at + self._ttl_seconds - time.time()
            self._local.put((project, key), turn, max(seconds, 1.0), len(plain))
        return turn

    async def from_postgres(
        self, project: str, keys: list[str], *, remember: bool
    ) -> dict[str, Turn]:
        """The turns Valkey has lost. `remember` those that nobody knows."""
        wanted = [key for key in keys if self._unknown.get((project, key)) is None]
        if not wanted or self._clock() < self._postgres_at or not self._allowance.take():
            return {}
        rows = await self._query(project, wanted)
        if rows is None:
            return {}
        found: dict[str, Turn] = {}
        for row in rows:
            turn = self.opened(project, row.key, row.sealed)
            if turn is not None:
                found[row.key] = turn
                seconds = int((row.expires_at - datetime.now(UTC)).total_seconds())
                self._into_valkey(project, row.key, row.sealed, max(seconds, 1))
        if remember:
            for key in wanted:
                if key not in found:
                    self._unknown.put((project, key), True, _UNKNOWN_SECONDS)
        return found

    async def _query(self, project: str, keys: list[str]) -> list[TurnRow] | None:
        """The rows, None when the database does not answer in time."""
        self.postgres_reads += 1
        try:
            async with asyncio.timeout(_QUERY_SECONDS):
                rows = await self._table.find(project, keys)
        except (GatewayError, TimeoutError) as error:
            self._postgres_at = self._clock() + _PAUSE_SECONDS
            if self._postgres_answers:
                _log.warning("turns_without_postgres", extra={"reason": type(error).__name__})
            self._postgres_answers = False
            return None
        self._postgres_answers = True
        return rows

    def _into_valkey(self, project: str, key: str, sealed: str, seconds: int) -> None:
        """Sends it and waits for nothing; a Valkey that is away has PostgreSQL behind it."""
        _ = self._valkey.call("SET", _valkey_name(project, key), sealed, "EX", seconds)


class TurnLookup:
    """A look-up under way; may be dropped without being awaited."""

    def __init__(
        self,
        store: TurnStore,
        project: str,
        found: dict[str, Turn],
        missing: list[str],
        reply: Awaitable[Values] | None,
    ) -> None:
        self._store = store
        self._project = project
        self._found = found
        self._missing = missing
        self._reply = reply

    async def found(self) -> dict[str, Turn]:
        """The turns by key. Never raises: what cannot be read is not there."""
        if self._reply is None:
            return self._found
        valkey_answered = True
        lost = self._missing
        try:
            values = await self._reply
        except ValkeyDown:
            valkey_answered = False
        else:
            lost = []
            for key, value in zip(self._missing, values, strict=True):
                turn = None
                if value is not None:
                    turn = self._store.opened(self._project, key, value)
                if turn is None:
                    lost.append(key)
                else:
                    self._found[key] = turn
        if lost:
            self._found |= await self._store.from_postgres(
                self._project, lost, remember=valkey_answered
            )
        self._reply = None
        return self._found


def _valkey_name(project: str, key: str) -> str:
    # The braces keep all keys of a project on one node of a cluster, as MGET wants.
    return f"gateway:{{{project}}}:turn:{key}"


def _context(project: str, key: str) -> bytes:
    return f"turn\x00{project}\x00{key}".encode()
