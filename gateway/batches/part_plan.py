"""How a batch is split into parts, and how items are named in them."""

import hashlib
import re

from gateway.storage.batch_items_store import ItemRow
from gateway.storage.batch_parts_store import NewPart
from gateway.structs import Struct

MOST_ITEMS = 100_000
MOST_BYTES = 256_000_000
"""What one Message Batch takes (platform.claude.com, batch processing: limits)."""

ITEM_BYTES = 512
"""What an item takes beside its body: its id, and fields that the translation adds."""

_CUSTOM_ID = re.compile(r"gw_([0-9a-f]{12})_([0-9]{1,9})")


class PartLimits(Struct, frozen=True):
    """The most that one part may have."""

    items: int
    part_bytes: int


def tag_of(batch_id: str, part: int) -> str:
    """What marks the items of a part; the same however often it is made, and nobody else's."""
    return hashlib.blake2b(f"{batch_id}/{part}".encode(), digest_size=6).hexdigest()


def custom_id(tag: str, number: int) -> str:
    """The name of an item in a Message Batch: 1 to 64 letters, digits, _ and -."""
    return f"gw_{tag}_{number}"


def number_of(tag: str, name: object) -> int | None:
    """The number of the item of that name, None when it is not of this part."""
    found = _CUSTOM_ID.fullmatch(name) if isinstance(name, str) else None
    return int(found[2]) if found is not None and found[1] == tag else None


class Splitting:
    """Splits items, which come in order, into parts.

    No two neighbours have the same number of items, where they are full: it is all that Claude's
    API shows of a batch before it has ended.
    """

    def __init__(self, batch_id: str, first_part: int, limits: PartLimits) -> None:
        self._batch_id = batch_id
        self._limits = limits
        self._part = first_part
        self._first: int | None = None
        self._last = 0
        self._items = 0
        self._bytes = 0
        self.parts: list[NewPart] = []

    def add(self, row: ItemRow) -> None:
        """One more item."""
        size = len(row.body) + ITEM_BYTES
        if self._items and (
            self._items >= self._most_items or self._bytes + size > self._limits.part_bytes
        ):
            self._close()
        if self._first is None:
            self._first = row.number
        self._last = row.number
        self._items += 1
        self._bytes += size

    def finish(self) -> list[NewPart]:
        """All parts."""
        if self._items:
            self._close()
        return self.parts

    @property
    def _most_items(self) -> int:
        return max(1, self._limits.items - self._part % max(1, self._limits.items // 10))

    def _close(self) -> None:
        first = self._last if self._first is None else self._first
        self.parts.append(NewPart(first, self._last, tag_of(self._batch_id, self._part)))
        self._part += 1
        self._first, self._items, self._bytes = None, 0, 0
