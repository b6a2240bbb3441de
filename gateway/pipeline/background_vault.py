"""The sealed texts of responses in the background: what was asked, shown and streamed."""

import zlib

from gateway import wire
from gateway.errors import InternalError
from gateway.protocols.background import behind
from gateway.storage.background_store import EventRow
from gateway.storage.sealed import Seals
from gateway.structs import Struct
from gateway.wire import JSONObject

_LEVEL = 1  # bodies are text: the fastest level already makes them four times smaller


class BackgroundVault(Struct, frozen=True):
    """Seals each text for its project, its response and its kind."""

    seals: Seals

    def seal(self, project: str, response_id: str, kind: str, data: bytes) -> str:
        """`data` as it is stored."""
        return self.seals.seal(zlib.compress(data, _LEVEL), _context(project, response_id, kind))

    def open(self, project: str, response_id: str, kind: str, sealed: str) -> bytes:
        """What was sealed. Raises InternalError when its key is gone."""
        data = self.seals.open(sealed, _context(project, response_id, kind))
        if data is None:
            raise InternalError("the response was stored under a key that is gone")
        return zlib.decompress(data)

    def open_json(self, project: str, response_id: str, kind: str, sealed: str) -> JSONObject:
        """The JSON object that was sealed."""
        return wire.loads_object(self.open(project, response_id, kind, sealed))

    def seal_events(
        self, project: str, response_id: str, first: int, count: int, data: bytes
    ) -> EventRow:
        """`count` events, numbered from `first`, as they are stored."""
        sealed = self.seal(project, response_id, f"events {first}", data)
        return EventRow(first, first + count - 1, sealed)

    def open_events(self, project: str, response_id: str, row: EventRow, after: int) -> bytes:
        """The events of a row behind number `after`."""
        data = self.open(project, response_id, f"events {row.first}", row.data)
        return behind(data, row.first, after)


def _context(project: str, response_id: str, kind: str) -> bytes:
    return f"background\x00{project}\x00{response_id}\x00{kind}".encode()
