"""`make faults`: the whole matrix, and its table written into docs/reliability.md."""

import asyncio
import sys
from pathlib import Path

from tests.contract.harness.processes import passable_directory
from tests.faults.cells import ALL_CELLS, Row, run_cell, undisturbed_p99
from tests.faults.stack import running_stack

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- made by make faults -->\n", "<!-- end -->\n"
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


def write_document(lines: list[str]) -> None:
    """Put the table between its marks."""
    text = DOCUMENT.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join([f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *lines]) + "\n"
    DOCUMENT.write_text(before + BEGIN + table + END + after, "utf-8")


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
    write_document(lines)
    return bad


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(run()) else 0)
