"""Log lines: one JSON object each on standard error, without secrets and without content.

`time`, `level`, `logger`, `event`, then the fields given as `extra`. Secrets are taken out here, at
the last step, so that no caller and no library can forget to.
"""

import logging
import re
import time
import traceback
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from gateway import wire
from gateway.errors import GatewayError
from gateway.telemetry.log_output import LogOutput
from gateway.telemetry.redaction import REDACTED, Redactor, is_secret_field

_refused = logging.getLogger("gateway.refused")

_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LONGEST_TEXT_CHARS = 2000
_LONGEST_MESSAGE_CHARS = 300
_MOST_ITEMS = 50
_DEEPEST = 4
_MOST_FRAMES = 25

# Lines from one place in one second; the first line after a storm says how many were left out.
_MOST_LINES = 2_000
_MOST_WARNINGS = 20
_MOST_PLACES = 1_000

# The text of these repeats the value that was wrong, which may be a client's.
_TALKATIVE_ERRORS = (KeyError, ValueError)
# What repr() makes of a string, escapes included; an apostrophe inside a word begins nothing.
_QUOTED = re.compile(r"(?<!\w)(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")", re.DOTALL)


def configure_logging(
    level: str, secrets: Iterable[str] = (), *, output: LogOutput | None = None
) -> LogOutput:
    """Send all log lines of this process, from `level` up, to standard error as JSON.

    `secrets` are values that must not appear even where they do not look like secrets. Close the
    returned output to write the last lines; the end of the process does so as well.
    """
    output = output or LogOutput()
    root = logging.getLogger()
    root.handlers = [JSONHandler(output, Redactor(secrets))]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    for chatty in (
        "asyncio",
        "httpx",
        "httpx2",
        "anthropic",
        "sqlalchemy",
        "temporalio",
    ):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Its warnings quote what a client sent; it is told by the error as well.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    return output


def log_refused(request_id: str, error: GatewayError) -> None:
    """Log that a request was refused: where in it and why, never what it contained."""
    level = logging.WARNING if error.status >= 500 else logging.INFO
    _refused.log(
        level,
        "request_refused",
        extra={
            "request_id": request_id,
            "status": error.status,
            "code": error.code,
            "path": error.param and error.param[:_LONGEST_MESSAGE_CHARS],
            "reason": without_quotations(error.message),
            "detail": error.detail[:_LONGEST_MESSAGE_CHARS] or None,
        },
    )


def without_quotations(message: str) -> str:
    """`message` without what it quotes, which may be the client's words."""
    return _QUOTED.sub("'...'", message)[:_LONGEST_MESSAGE_CHARS]


class JSONHandler(logging.Handler):
    """Turns records into redacted JSON lines, at most so many from one place in a second."""

    def __init__(self, output: LogOutput, redactor: Redactor) -> None:
        super().__init__()
        self._output = output
        self._redactor = redactor
        self._storm = StormGuard()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a record that cannot be printed must not break its caller."""
        try:
            left_out = self._storm.left_out(record)
            if left_out is None:
                return
            line = wire.dumps(self._fields(record, left_out)) + b"\n"
        except (TypeError, ValueError, RecursionError, GatewayError) as error:
            broken = {"level": "error", "event": "log_line_broken", "reason": type(error).__name__}
            line = wire.dumps(broken) + b"\n"
        self._output.write(line, urgent=record.levelno >= logging.WARNING)

    def _fields(self, record: logging.LogRecord, left_out: int) -> dict[str, Any]:
        moment = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": self._text(record.getMessage()),
        }
        for name, value in vars(record).items():
            if name not in _OWN_FIELDS and value is not None and name not in fields:
                fields[name] = self._printable(name, value, 0)
        if left_out:
            fields["suppressed"] = left_out
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = self._text(describe_error(record.exc_info[1]))
            fields["trace"] = _frames(record.exc_info[2])
        return fields

    def _printable(self, name: str, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if is_secret_field(name):
            return REDACTED
        if depth < _DEEPEST and isinstance(value, dict):
            items = list(value.items())[:_MOST_ITEMS]
            return {
                self._text(str(key)): self._printable(str(key), item, depth + 1)
                for key, item in items
            }
        if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
            return [self._printable("", item, depth + 1) for item in list(value)[:_MOST_ITEMS]]
        return self._text(describe_error(value) if isinstance(value, BaseException) else str(value))

    def _text(self, text: str) -> str:
        # Redacted before it is cut: half a secret no longer looks like one.
        redacted = self._redactor(text[: 4 * _LONGEST_TEXT_CHARS])
        if len(redacted) <= _LONGEST_TEXT_CHARS:
            return redacted
        return redacted[:_LONGEST_TEXT_CHARS] + "..."


class StormGuard:
    """Counts the lines each place in the code writes in the running second.

    By place, not by text: libraries put changing values into theirs. Not locked by itself; a
    logging handler is.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[tuple[str, int], tuple[int, int]] = {}

    def left_out(self, record: logging.LogRecord) -> int | None:
        """None when the line is one too many; else how many were left out before it."""
        second = int(self._clock())
        place = (record.pathname, record.lineno)
        most = _MOST_WARNINGS if record.levelno >= logging.WARNING else _MOST_LINES
        since, count = self._counts.get(place, (second, 0))
        missed = 0
        if since != second:
            missed = max(0, count - most)
            since, count = second, 0
        if len(self._counts) >= _MOST_PLACES and place not in self._counts:
            self._counts.clear()
        self._counts[place] = (since, count + 1)
        return missed if count < most else None


def describe_error(error: BaseException) -> str:
    """Types and messages of an error and its causes; values that may be a client's left out."""
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(parts) < _DEEPEST:
        parts.append(_describe_one(current))
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )
    return " <- ".join(parts)


def _describe_one(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, GatewayError):
        text = " | ".join(filter(None, (without_quotations(error.message), error.detail)))
    elif isinstance(error, _TALKATIVE_ERRORS):
        text = ""
    else:
        # Only the first line: the database driver prints the statement's parameters after it.
        text = without_quotations(str(error).partition("\n")[0])
    return f"{name}: {text[:_LONGEST_MESSAGE_CHARS]}" if text else name


def _frames(trace: TracebackType | None) -> list[str]:
    """The innermost frames, without source text and without values."""
    frames = traceback.extract_tb(trace)[-_MOST_FRAMES:]
    return [
        f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno} {frame.name}"
        for frame in frames
    ]
