"""The progress of a batch in a terminal: one line that is drawn anew, or lines elsewhere."""

import time
from collections.abc import Callable
from typing import Any, TextIO

ENDED = frozenset({"completed", "failed", "cancelled", "expired"})
"""Statuses after which nothing more happens."""

_WIDTH = 30
_STEP_PERCENT = 10  # between lines where nobody can redraw


class Bar:
    """Shows a batch as it goes on."""

    def __init__(self, output: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._is_terminal = output.isatty()
        self._clock = clock
        self._first: tuple[float, int] | None = None
        self._shown: tuple[str, int] | None = None

    def show(self, batch: dict[str, Any]) -> None:
        """Draws the batch as the API answers it."""
        line = self._line(batch)
        if self._is_terminal:
            self._output.write(f"\r\x1b[2K{line}")
        else:
            step = (batch["status"], _percent(batch) // _STEP_PERCENT)
            if step == self._shown:
                return
            self._shown = step
            self._output.write(f"{line}\n")
        self._output.flush()

    def end(self) -> None:
        """Leaves the line."""
        if self._is_terminal:
            self._output.write("\n")
            self._output.flush()

    def _line(self, batch: dict[str, Any]) -> str:
        counts, percent = batch["counts"], _percent(batch)
        filled = percent * _WIDTH // 100
        done = counts["total"] - counts["waiting"]
        parts = [
            f"[{'#' * filled}{'.' * (_WIDTH - filled)}]",
            f"{done}/{counts['total']} {percent}%",
            batch["status"],
        ]
        if counts["failed"]:
            parts.append(f"{counts['failed']} failed")
        parts.append(f"${batch['cost_usd']:.4f}")
        if left := self._left(done, counts["total"], batch["status"]):
            parts.append(left)
        return "  ".join(parts)

    def _left(self, done: int, total: int, status: str) -> str:
        """Speed and time left, by what was seen since the first look."""
        now = self._clock()
        if self._first is None:
            self._first = (now, done)
        seconds, more = now - self._first[0], done - self._first[1]
        if status in ENDED or not more or seconds <= 0:
            return ""
        rate = more / seconds
        left = int((total - done) / rate)
        return f"{rate:.1f}/s  {left // 60}:{left % 60:02} left"


def _percent(batch: dict[str, Any]) -> int:
    counts = batch["counts"]
    done = int(counts["total"]) - int(counts["waiting"])
    return 100 * done // max(1, int(counts["total"]))
