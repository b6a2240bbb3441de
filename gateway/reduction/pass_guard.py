"""Switches off rewriting passes that lose money, for the new conversations of a kind of client.

Each process notes what its requests gained or lost, shares that with the others through Valkey in
the background and judges by the sums. Asking costs two look-ups in memory. A week counts in full,
the week before by half, older ones not at all; so a pass that is off comes back when its trials do
well, or when its record has aged away. Without Valkey each process judges by itself.

A pass is judged by the estimates of the ledger. `append_log` adds text so that the cache is read:
it is judged by all that its request saved. Not judged are `volatile_lines`, which takes nothing
out, and `diff_first`, whose gain is in the answer.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from gateway.reduction.holdout import chance_of
from gateway.reduction.pass_record import TRIAL_SHARE, PassRecord
from gateway.storage.valkey import Script, Valkey, ValkeyDown
from gateway.wire import JSONObject

_log = logging.getLogger("gateway.reduction")

JUDGED = frozenset(
    {"boilerplate", "caps", "references", "cold_compaction", "context_pruning", "append_log"}
)
"""The techniques that are judged."""

_BY_THE_WHOLE = "append_log"
_FLUSH_SECONDS = 5.0
_FLUSHES_PER_REFRESH = 6
_WEEK_SECONDS = 7 * 86_400
_KEPT_SECONDS = 15 * 86_400
_LAST_WEEK_WEIGHT = 0.5
_MAX_CELLS = 500  # of one process: clients name themselves
_MAX_CONVERSATIONS = 10_000
_FINISH_SECONDS = 2.0
_FIELDS = ("conversations", "net_usd", "squares")

# All of it or nothing, in one round trip.
_ADD = Script.of("""
for i = 2, #ARGV, 2 do
    redis.call('HINCRBYFLOAT', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
""")

Cell: TypeAlias = tuple[str, str, str]
"""Project, kind of client, technique."""

_Records: TypeAlias = dict[Cell, PassRecord]


class PassGuard:
    """The judge of a process. Make it before Valkey starts, start `run()` as a task, `finish()`."""

    def __init__(self, valkey: Valkey, clock: Callable[[], float] = time.time) -> None:
        valkey.register(_ADD)
        self._valkey = valkey
        self._clock = clock
        self._shared: dict[int, _Records] = {}
        self._pending: dict[int, _Records] = {}
        self._cells: set[Cell] = set()
        self._standing: OrderedDict[tuple[str, str, str], dict[str, float]] = OrderedDict()
        self._off: frozenset[Cell] = frozenset()

    @property
    def allows_everything(self) -> bool:
        """True while no pass is off anywhere."""
        return not self._off

    def allowed(self, project: str, client: str, technique: str, conversation: bytes) -> bool:
        """True when a new conversation may use the pass; keep the answer for all its requests.

        Of a pass that is off, some conversations try it: the same in every process.
        """
        if (project, client, technique) not in self._off:
            return True
        return chance_of(conversation, "trial", project, technique) < TRIAL_SHARE

    def note(
        self,
        project: str,
        client: str,
        conversation: str,
        effects: Iterable[tuple[str, float]],
        saved_usd: float,
    ) -> None:
        """Take in what a request's passes gained, in dollars, and what it saved in all."""
        standing = None
        for technique, usd in effects:
            if technique not in JUDGED:
                continue
            cell = (project, client, technique)
            if not self._is_known(cell):
                continue
            if standing is None:
                standing = self._standing_of((project, client, conversation))
            gained = saved_usd if technique == _BY_THE_WHOLE else usd
            before = standing.get(technique)
            self._pending_of(cell).request(before, gained)
            standing[technique] = (before or 0.0) + gained

    def states(self) -> list[JSONObject]:
        """What is known of each pass, the dearest first, for an operator."""
        rows = [
            {
                "project": cell[0],
                "client": cell[1],
                "technique": cell[2],
                "switched_off": cell in self._off,
                "conversations": round(record.conversations, 1),
                "net_usd": record.net_usd,
            }
            for cell, record in self._weighted().items()
        ]
        return sorted(rows, key=lambda row: row["net_usd"])

    async def run(self) -> None:
        """Shares and judges until cancelled."""
        while True:
            await self.refresh()
            for _ in range(_FLUSHES_PER_REFRESH):
                await asyncio.sleep(_FLUSH_SECONDS)
                await self.flush()

    async def finish(self) -> None:
        """Shares what is left, for some seconds at most."""
        try:
            async with asyncio.timeout(_FINISH_SECONDS):
                await self.flush()
        except TimeoutError:
            return

    async def flush(self) -> None:
        """Adds what was noted to the shared record; what does not get through waits."""
        for week in list(self._pending):
            records = self._pending.pop(week)
            try:
                await self._valkey.evalsha(_ADD, (_key(week),), _increments(records))
            except ValkeyDown:
                self._take_back(week, records)
            except asyncio.CancelledError:
                self._take_back(week, records)
                raise
            else:
                for cell, record in records.items():
                    _of(self._shared, week, cell).add(record)

    async def refresh(self) -> None:
        """Reads the shared record anew and judges. Never raises."""
        await self.flush()
        now = self._week()
        for week in (now, now - 1):
            try:
                reply = await self._valkey.call("HGETALL", _key(week))
            except ValkeyDown:
                break
            self._shared[week] = _records(reply)
        self._shared = {week: self._shared.get(week, {}) for week in (now, now - 1)}
        self._pending = {week: each for week, each in self._pending.items() if week >= now - 1}
        self._judge()

    def _judge(self) -> None:
        off = set()
        for cell, record in self._weighted().items():
            if record.loses(was_off=cell in self._off):
                off.add(cell)
        for cell in off ^ self._off:
            _report(cell, switched_off=cell in off)
        self._off = frozenset(off)

    def _weighted(self) -> _Records:
        """All that is known, shared or not, by age."""
        now = self._week()
        sums: _Records = {}
        for weeks in (self._shared, self._pending):
            for week, weight in ((now, 1.0), (now - 1, _LAST_WEEK_WEIGHT)):
                for cell, record in weeks.get(week, {}).items():
                    sums.setdefault(cell, PassRecord()).add(record, weight)
        return sums

    def _take_back(self, week: int, records: _Records) -> None:
        for cell, record in records.items():
            _of(self._pending, week, cell).add(record)

    def _is_known(self, cell: Cell) -> bool:
        if cell not in self._cells:
            if len(self._cells) >= _MAX_CELLS:
                return False
            self._cells.add(cell)
        return True

    def _pending_of(self, cell: Cell) -> PassRecord:
        return _of(self._pending, self._week(), cell)

    def _standing_of(self, name: tuple[str, str, str]) -> dict[str, float]:
        """The dollars of a conversation so far; one that was forgotten begins anew."""
        standing = self._standing.get(name)
        if standing is None:
            standing = self._standing[name] = {}
            if len(self._standing) > _MAX_CONVERSATIONS:
                self._standing.popitem(last=False)
        else:
            self._standing.move_to_end(name)
        return standing

    def _week(self) -> int:
        return int(self._clock() // _WEEK_SECONDS)


def _of(weeks: dict[int, _Records], week: int, cell: Cell) -> PassRecord:
    records = weeks.get(week)
    if records is None:
        records = weeks[week] = {}
    record = records.get(cell)
    if record is None:
        record = records[cell] = PassRecord()
    return record


def _key(week: int) -> str:
    return f"gateway:passes:{week}"


def _increments(records: _Records) -> list[str]:
    """The arguments of `_ADD`."""
    arguments = [str(_KEPT_SECONDS)]
    for cell, record in records.items():
        for field in _FIELDS:
            arguments += ["\x1f".join((*cell, field)), repr(getattr(record, field))]
    return arguments


def _records(reply: list[bytes]) -> _Records:
    """The records in a hash of fields `project client technique number`."""
    records: _Records = {}
    for name, value in _pairs(reply):
        *cell, field = name.decode("utf-8", "replace").split("\x1f")
        if len(cell) == 3 and field in _FIELDS:
            record = records.setdefault((cell[0], cell[1], cell[2]), PassRecord())
            setattr(record, field, float(value))
    return records


def _pairs(reply: list[Any]) -> Iterator[tuple[bytes, bytes]]:
    flat = iter(reply)
    return zip(flat, flat, strict=True)


def _report(cell: Cell, *, switched_off: bool) -> None:
    project, client, technique = cell
    _log.warning(
        "pass_switched_off" if switched_off else "pass_switched_on",
        extra={"project": project, "client": client, "technique": technique},
    )
