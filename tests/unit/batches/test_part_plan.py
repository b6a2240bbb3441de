"""How batches are split into parts, and how items are named in them."""

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.batches.part_plan import (
    ITEM_BYTES,
    PartLimits,
    Splitting,
    custom_id,
    number_of,
    tag_of,
)
from gateway.storage.batch_items_store import ItemRow
from gateway.storage.batch_parts_store import NewPart


def row(number: int, size: int = 10) -> ItemRow:
    return ItemRow(number, f"c{number}", b"x" * size, b"", 0, None, 0)


def split(rows: list[ItemRow], limits: PartLimits, first_part: int = 0) -> list[NewPart]:
    splitting = Splitting("batch_1", first_part, limits)
    for each in rows:
        splitting.add(each)
    return splitting.finish()


@given(
    sizes=st.lists(st.integers(0, 3_000), max_size=80),
    items=st.integers(1, 30),
    part_bytes=st.integers(1, 9_000),
)
def test_every_item_is_in_one_part_within_the_limits(
    sizes: list[int], items: int, part_bytes: int
) -> None:
    rows = [row(number, size) for number, size in enumerate(sizes)]
    parts = split(rows, PartLimits(items, part_bytes))
    numbers = [number for part in parts for number in range(part.first, part.last + 1)]
    assert numbers == list(range(len(sizes)))
    for part in parts:
        held = sizes[part.first : part.last + 1]
        assert len(held) <= items
        assert len(held) == 1 or sum(held) + ITEM_BYTES * len(held) <= part_bytes


def test_neighbours_can_be_told_apart_by_their_number_of_items() -> None:
    parts = split([row(number) for number in range(400)], PartLimits(100, 10**9))
    sizes = [part.last - part.first + 1 for part in parts]
    assert sizes == [100, 99, 98, 97, 6]


def test_tags_are_lasting_and_of_one_part_only() -> None:
    assert tag_of("batch_1", 0) == tag_of("batch_1", 0)
    assert len({tag_of(batch, part) for batch in ("a", "b") for part in range(50)}) == 100
    assert split([row(7)], PartLimits(5, 10**6), 3) == [NewPart(7, 7, tag_of("batch_1", 3))]


@given(number=st.integers(0, 10**6))
def test_names_fit_claudes_rule_and_lead_back(number: int) -> None:
    tag = tag_of("batch_1", 2)
    name = custom_id(tag, number)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)
    assert number_of(tag, name) == number
    assert number_of(tag_of("batch_1", 3), name) is None


def test_foreign_names_lead_nowhere() -> None:
    for name in (None, 7, "", "gw_", "request-1", "gw_zz_1", custom_id("0" * 12, 1) + "x"):
        assert number_of("0" * 12, name) is None
