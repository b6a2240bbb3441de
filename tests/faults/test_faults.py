"""One kill and one freeze of each part, and a full disk, under load; `make faults` does it all."""

import pytest

from tests.faults.cells import SHORT_CELLS, Cell, run_cell, undisturbed_p99
from tests.faults.stack import Stack


@pytest.fixture(scope="module")
async def calm_p99(stack: Stack) -> float:
    return await undisturbed_p99(stack)


@pytest.mark.timeout(150)
@pytest.mark.parametrize("cell", SHORT_CELLS, ids=[cell.name for cell in SHORT_CELLS])
async def test_a_part_fails_and_no_damage_is_done(
    stack: Stack, cell: Cell, calm_p99: float
) -> None:
    if cell.part == "journal" and not stack.journal_has_own_disk:
        pytest.skip("filling a disk needs the right to mount one")
    row = await run_cell(stack, cell, calm_p99)
    assert row.wrong(cell) == [], row
