"""Stored responses of OpenAI's Responses protocol: to be fetched, deleted, and gone on from.

A response is readable from the moment its answer ends: from memory, else from PostgreSQL, else,
for the moment until it is written there, from Valkey. Everything that was said is sealed for its
project and id.
"""

import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

from gateway import wire
from gateway.errors import NotFoundError, UnavailableError
from gateway.storage.response_store import MAX_CHAIN, ResponseRow, ResponseTable
from gateway.storage.sealed import Seals
from gateway.storage.shelf import Shelf
from gateway.storage.valkey import Valkey, ValkeyDown
from gateway.structs import Struct, field
from gateway.turns.write_behind import WriteBehind
from gateway.wire import JSONObject

MAX_RESPONSE_BYTES = 24 * 2**20
"""A response that is longer, as JSON with its input, is not stored."""

# In memory only until it is certainly in PostgreSQL: another process may delete it there.
_LOCAL_SECONDS = 30.0
_LOCAL_ENTRIES = 2_000
_LOCAL_BYTES = 16 * 2**20  # of JSON; as objects it is some three times that
_IN_VALKEY_SECONDS = 3600  # long enough for any outage of PostgreSQL that people bridge by hand
_IN_VALKEY_CHARS = 4 * 2**20

Order = Literal["asc", "desc"]


class StoredResponse(Struct, frozen=True):
    """One response: the object as it was answered, what was said to it, and Claude's own content.

    `input_items` are those of this request only; `turn` is the raw assistant content; `created_at`
    is in Unix seconds.
    """

    id: str
    created_at: int
    previous_id: str | None
    response: JSONObject
    input_items: list[JSONObject] = field(default_factory=list)
    turn: list[JSONObject] = field(default_factory=list)

    @property
    def status(self) -> str:
        """completed, incomplete, failed, in_progress, queued or cancelled."""
        return str(self.response.get("status") or "completed")


class Page(Struct, frozen=True):
    """Some of the items of a list; `has_more` tells that others follow."""

    items: list[JSONObject]
    has_more: bool


class StoredResponses:
    """Keeps responses for `ttl_days`. Start `run()` as a task; `finish()` at the end.

    Reading raises NotFoundError, and UnavailableError when the database does not answer and the
    response is nowhere else.
    """

    def __init__(
        self,
        valkey: Valkey,
        table: ResponseTable,
        seals: Seals,
        *,
        ttl_days: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._valkey = valkey
        self._table = table
        self._seals = seals
        self._ttl = timedelta(days=ttl_days)
        self._local: Shelf[tuple[str, str], StoredResponse] = Shelf(
            max_entries=_LOCAL_ENTRIES, max_size=_LOCAL_BYTES, clock=clock
        )
        self.writes: WriteBehind[ResponseRow] = WriteBehind("responses", table.save)

    async def run(self) -> None:
        """Writes responses to PostgreSQL until cancelled."""
        await self.writes.run()

    async def finish(self) -> None:
        """Writes what is left."""
        await self.writes.finish()

    def save(self, project: str, stored: StoredResponse) -> bool:
        """Stores or replaces a response without waiting; False when it is too long to be kept."""
        data = wire.dumps(
            {
                "response": stored.response,
                "input_items": stored.input_items,
                "turn": stored.turn,
                "created_at": stored.created_at,
                "previous_id": stored.previous_id,
            }
        )
        if len(data) > MAX_RESPONSE_BYTES:
            return False
        name = (project, stored.id)
        self._local.put(name, stored, _LOCAL_SECONDS, len(data))
        sealed = self._seals.seal(zlib.compress(data, 1), _context(project, stored.id))
        if len(sealed) <= _IN_VALKEY_CHARS:
            key = _valkey_name(project, stored.id)
            _ = self._valkey.call("SET", key, sealed, "EX", _IN_VALKEY_SECONDS)
        created_at = datetime.fromtimestamp(stored.created_at, UTC)
        row = ResponseRow(
            project=project,
            id=stored.id,
            created_at=created_at,
            expires_at=datetime.now(UTC) + self._ttl,
            previous_id=stored.previous_id,
            status=stored.status,
            sealed=sealed,
        )
        self.writes.put(name, row, len(sealed))
        return True

    async def get(self, project: str, response_id: str) -> StoredResponse:
        """The response of that id."""
        chain = await self._chain(project, response_id, limit=1)
        if not chain:
            raise _not_found(response_id)
        return chain[0]

    async def conversation(self, project: str, response_id: str) -> list[StoredResponse]:
        """The response and all it goes on from, oldest first, for `previous_response_id`."""
        chain = await self._chain(project, response_id, limit=MAX_CHAIN)
        lost = chain[-1].previous_id if chain else response_id
        if lost is not None:
            raise NotFoundError(
                f"Previous response with id '{lost}' not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        return chain[::-1]

    async def delete(self, project: str, response_id: str) -> None:
        """Removes the response for good."""
        name = (project, response_id)
        await self.writes.flush()  # or it would be written after it was deleted
        waited = self.writes.get(name) is not None
        self.writes.forget(name)
        known = self._local.get(name) is not None
        self._local.drop(name)
        try:
            in_valkey = await self._valkey.call("DEL", _valkey_name(project, response_id))
        except ValkeyDown:
            in_valkey = 0
        if not (await self._table.delete(project, response_id) or waited or known or in_valkey):
            raise _not_found(response_id)

    async def input_items(
        self, project: str, response_id: str, after: str | None, limit: int, order: Order
    ) -> Page:
        """A page of what was said to the response; `after` is the id of an item."""
        items = (await self.get(project, response_id)).input_items
        return page_of(items, after, limit, order)

    async def _chain(self, project: str, response_id: str, limit: int) -> list[StoredResponse]:
        """The response and those before it, newest first; ends where one is missing."""
        chain: list[StoredResponse] = []
        wanted: str | None = response_id
        while wanted is not None and len(chain) < limit:
            stored = self._local.get((project, wanted))
            if stored is not None:
                chain.append(stored)
            else:
                more = await self._from_stores(project, wanted, limit - len(chain))
                if not more:
                    break
                chain += more
            wanted = chain[-1].previous_id
        return chain

    async def _from_stores(self, project: str, wanted: str, limit: int) -> list[StoredResponse]:
        try:
            rows = await self._table.find_chain(project, wanted, limit)
        except UnavailableError:
            newest = await self._from_valkey(project, wanted)
            if newest is None:
                raise
            return [newest]
        found: list[StoredResponse] = []
        for row in rows:
            stored = self._opened(project, row.id, row.sealed)
            if stored is None:
                return found
            found.append(stored)
        if found:
            return found
        newest = await self._from_valkey(project, wanted)
        return [] if newest is None else [newest]

    async def _from_valkey(self, project: str, response_id: str) -> StoredResponse | None:
        try:
            sealed = await self._valkey.call("GET", _valkey_name(project, response_id))
        except ValkeyDown:
            return None
        if sealed is None:
            return None
        return self._opened(project, response_id, sealed.decode("ascii", "replace"))

    def _opened(self, project: str, response_id: str, sealed: str) -> StoredResponse | None:
        return opened_response(self._seals, project, response_id, sealed)


def opened_response(
    seals: Seals, project: str, response_id: str, sealed: str
) -> StoredResponse | None:
    """The stored response in `sealed`; None when it was sealed with a key that is gone."""
    data = seals.open(sealed, _context(project, response_id))
    if data is None:
        return None
    value = wire.loads(zlib.decompress(data))
    return StoredResponse(
        id=response_id,
        created_at=value["created_at"],
        previous_id=value["previous_id"],
        response=value["response"],
        input_items=value["input_items"],
        turn=value["turn"],
    )


def page_of(items: list[JSONObject], after: str | None, limit: int, order: Order) -> Page:
    """Up to `limit` items behind `after`; "desc" begins with the newest. Raises NotFoundError."""
    ordered = items if order == "asc" else items[::-1]
    start = 0
    if after is not None:
        places = [place for place, item in enumerate(ordered) if item.get("id") == after]
        if not places:
            raise NotFoundError(f"No item with id '{after}' found.", param="after")
        start = places[0] + 1
    return Page(ordered[start : start + limit], has_more=start + limit < len(ordered))


def _not_found(response_id: str) -> NotFoundError:
    return NotFoundError(f"Response with id '{response_id}' not found.", code="response_not_found")


def _valkey_name(project: str, response_id: str) -> str:
    return f"gateway:{{{project}}}:response:{response_id}"


def _context(project: str, response_id: str) -> bytes:
    return f"response\x00{project}\x00{response_id}".encode()
