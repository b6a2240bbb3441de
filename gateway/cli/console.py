"""Where the command line writes: results to standard output, progress to standard error."""

import contextlib
import sys
from collections.abc import Sequence


def progress(line: str) -> None:
    """One line on standard error. A reader that went away must not stop the stack."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def result(text: str) -> None:
    """Text with a line end on standard output."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows as aligned columns, the last one as long as it is."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join(
            (*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1])
        ).rstrip()
        for row in rows
    )
