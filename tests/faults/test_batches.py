"""A kill of each part under a batch, and the special ones; `make faults` does it all."""

import pytest

from tests.faults.batches import BatchCell, batch_cells, run_batch_cell
from tests.faults.stack import Stack

SPECIAL = [cell for cell in batch_cells(4.0) if cell.part in ("valkey", "simulator")]


@pytest.mark.timeout(250)
@pytest.mark.parametrize("cell", SPECIAL, ids=[cell.name for cell in SPECIAL])
async def test_a_part_fails_and_every_item_is_answered_once(stack: Stack, cell: BatchCell) -> None:
    row = await run_batch_cell(stack, cell, 0.0)
    assert row.wrong() == [], row
