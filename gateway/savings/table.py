"""The figures as a table for a terminal."""

from collections.abc import Callable, Sequence

from gateway.savings.figures import Figures, Mean, Summary
from gateway.structs import Struct

_GAP = "  "
_LEAST_NAME = 12


class _Column(Struct, frozen=True):
    """A column of numbers under two lines of title. `of_mean` is for the row of means, where it has
    one; `may_go` when nothing is in it.
    """

    title: tuple[str, str]
    of: Callable[[Figures], str]
    of_mean: Callable[[Mean], str] | None = None
    may_go: bool = False


_COLUMNS = (
    _Column(("", "requests"), lambda row: str(row.plain.requests)),
    _Column(("plain", "$"), lambda row: dollars(row.plain.usd)),
    _Column(("gateway", "$"), lambda row: dollars(row.reduced.usd)),
    _Column(("input $", "saved"), lambda r: _cent(r.input_saved), lambda m: _cent(m.input_saved)),
    _Column(("all $", "saved"), lambda r: _cent(r.all_saved), lambda m: _cent(m.all_saved)),
    _Column(("tokens", "saved"), lambda r: _cent(r.sent_saved), lambda m: _cent(m.sent_saved)),
    _Column(("own log", "saved"), lambda row: _known(row.recorded_saved), may_go=True),
    _Column(("text", "hidden"), lambda row: _part(row.told.hidden, row)),
    _Column(("text cut,", "declared"), lambda row: _part(row.told.declared, row), may_go=True),
    _Column(("bad ref-", "erences"), lambda row: str(row.told.bad_references), may_go=True),
    _Column(("requests", "failed"), lambda row: str(row.failures), may_go=True),
)


def render(summary: Summary, width: int, *, sessions: bool = True) -> str:
    """The table, at most `width` wide where that can be; columns of zeros go first.

    `sessions` gives each session a row of its own above those of the kinds.
    """
    rows = [*(summary.sessions if sessions else ()), *summary.kinds, summary.total]
    columns = [each for each in _COLUMNS if not each.may_go or any(map(_is_told(each), rows))]
    names = [_name(row, summary) for row in rows]
    means = ["mean of kinds"]
    means += [column.of_mean(summary.mean) if column.of_mean else "" for column in columns]
    cells = [
        [name, *(column.of(row) for column in columns)]
        for name, row in zip(names, rows, strict=True)
    ]
    heads = [["", *(column.title[line] for column in columns)] for line in (0, 1)]
    grid = _fitted([*heads, *cells, means], width)
    lines = _aligned(grid)
    count = len(summary.sessions) if sessions else 0
    rule = "-" * max(map(len, lines))
    groups = [lines[:2], lines[2 : 2 + count], lines[2 + count : -2], lines[-2:]]
    return f"\n{rule}\n".join("\n".join(group) for group in groups if group)


def dollars(value: float) -> str:
    """Dollars with as many digits as tell something."""
    return f"{value:,.2f}" if value >= 1 else f"{value:.4f}"


def share(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.1f}"


def _cent(value: float) -> str:
    return f"{share(value)} %"


def _known(value: float | None) -> str:
    return "" if value is None else _cent(value)


def _is_told(column: _Column) -> Callable[[Figures], bool]:
    return lambda row: column.of(row) not in ("0", "")


def _name(row: Figures, summary: Summary) -> str:
    if row in summary.kinds or row is summary.total:
        return f"{row.name} ({row.sessions})"
    return row.name


def _part(count: int, row: Figures) -> str:
    """A count of characters as a percentage of all, and never as none when there are some."""
    if not count:
        return "0"
    return f"{max(0.001, 100 * count / max(1, row.told.characters)):.3f} %"


def _fitted(grid: list[list[str]], width: int) -> list[list[str]]:
    """The cells with names short enough for the width, as far as they stay readable."""
    numbers = sum(max(map(len, column)) + len(_GAP) for column in _transposed(grid)[1:])
    most = max(_LEAST_NAME, width - numbers)
    return [[_shortened(row[0], most), *row[1:]] for row in grid]


def _shortened(name: str, most: int) -> str:
    if len(name) <= most:
        return name
    head = (most - 1) // 2
    return f"{name[:head]}…{name[len(name) - (most - 1 - head) :]}"


def _aligned(grid: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in _transposed(grid)]
    lines = []
    for row in grid:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append(_GAP.join(cells).rstrip())
    return lines


def _transposed(grid: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(column) for column in zip(*grid, strict=True)]
