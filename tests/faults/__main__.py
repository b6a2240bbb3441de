"""`make faults`: the whole matrix, and its tables written into docs/reliability.md.

`python -m tests.faults batches` makes the table of batches only.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.contract.harness.processes import passable_directory
from tests.faults.batches import BatchRow, batch_cells, calm_seconds, run_batch_cell
from tests.faults.cells import ALL_CELLS, Row, run_cell, undisturbed_p99
from tests.faults.stack import Stack, running_stack

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- made by make faults -->\n", "<!-- end -->\n"
BATCHES_BEGIN = "<!-- batches, made by make faults -->\n"
BATCH_COLUMNS = ("fault", "succeeded", "results", "usage rows", "doubled", "time added", "memory")
COLUMNS = (
    *("fault", "requests", "failed", "p99 added", "usage rows", "doubled"),
    *("well again after", "log", "memory"),
)


def table_row(row: Row, wrong: list[str]) -> str:
    """A row of the table."""
    mark = "" if not wrong else " **" + "; ".join(wrong) + "**"
    values = (
        f"{row.cell}{mark}",
        row.requests,
        f"{row.failed} ({row.faults})" if row.failed else 0,
        f"{row.p99_added_ms:+.0f} ms",
        f"{row.rows_found} of {row.rows_expected}",
        row.duplicates,
        f"{row.recovery_seconds:.1f} s",
        f"{row.log_bytes / 1000:.0f} kB",
        f"{row.growth_mb:+.0f} MB",
    )
    return f"| {' | '.join(map(str, values))} |"


def batch_row(row: BatchRow) -> str:
    """A row of the table of batches."""
    wrong = row.wrong()
    values = (
        row.cell + (" **" + "; ".join(wrong) + "**" if wrong else ""),
        row.succeeded,
        row.results,
        row.usage_rows,
        row.doubled,
        f"{row.seconds_added:+.0f} s",
        f"{row.growth_mb:+.0f} MB",
    )
    return f"| {' | '.join(map(str, values))} |"


def write_document(begin: str, columns: Sequence[str], lines: list[str]) -> None:
    """Put a table between its marks."""
    text = DOCUMENT.read_text("utf-8")
    before, found, rest = text.partition(begin)
    if not found:
        raise SystemExit(f"{DOCUMENT} has no place for a table: {begin}")
    _, _, after = rest.partition(END)
    table = "\n".join([f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *lines]) + "\n"
    DOCUMENT.write_text(before + begin + table + END + after, "utf-8")


async def run() -> int:
    """Every cell, one after the other; the number of those with something wrong."""
    lines, bad = [], 0
    with passable_directory("gateway-faults-") as home, running_stack(home) as stack:
        own_disk = stack.journal_has_own_disk
        cells = [cell for cell in ALL_CELLS if cell.part != "journal" or own_disk]
        calm = await undisturbed_p99(stack)
        for number, cell in enumerate(cells, 1):
            try:
                row = await run_cell(stack, cell, calm)
            except AssertionError as error:
                sys.stdout.write(f"{number}/{len(cells)} {cell.name}: {error}\n")
                lines.append(f"| {cell.name} **{error}** | | | | | | | | |")
                bad += 1
                continue
            wrong = row.wrong(cell)
            bad += bool(wrong)
            lines.append(table_row(row, wrong))
            sys.stdout.write(f"{number}/{len(cells)} {lines[-1]}\n")
            sys.stdout.flush()
        write_document(BEGIN, COLUMNS, lines)
        bad += await run_batches(stack)
    return bad


async def run_batches(stack: Stack) -> int:
    """Every cell of batches; the number of those with something wrong."""
    lines, bad = [], 0
    cells = batch_cells(20.0)
    calm = await calm_seconds(stack)
    for number, cell in enumerate(cells, 1):
        try:
            row = await run_batch_cell(stack, cell, calm)
        except AssertionError as error:
            lines.append(f"| {cell.name} **{error}** | | | | | | |")
            bad += 1
        else:
            bad += bool(row.wrong())
            lines.append(batch_row(row))
        sys.stdout.write(f"{number}/{len(cells)} {lines[-1]}\n")
        sys.stdout.flush()
    write_document(BATCHES_BEGIN, BATCH_COLUMNS, lines)
    return bad


async def run_batches_alone() -> int:
    """The second table only."""
    with passable_directory("gateway-faults-") as home, running_stack(home) as stack:
        return await run_batches(stack)


if __name__ == "__main__":
    work = run_batches_alone() if sys.argv[1:] == ["batches"] else run()
    sys.exit(1 if asyncio.run(work) else 0)
