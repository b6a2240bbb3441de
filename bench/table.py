"""Renders rows as a plain text table."""

from collections.abc import Sequence


def render(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first is the header, the first column text.

    The other columns are set to the right, as numbers are.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def number(value: float | None, digits: int = 0, unit: str = "") -> str:
    """A number for a cell; `-` for nothing."""
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "  ".join(cells).rstrip()
