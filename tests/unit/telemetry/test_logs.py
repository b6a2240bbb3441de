import io
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway import wire
from gateway.errors import InvalidRequestError, UnavailableError
from gateway.telemetry.log_output import LogOutput
from gateway.telemetry.logs import (
    JSONHandler,
    StormGuard,
    configure_logging,
    describe_error,
    log_refused,
    without_quotations,
)

CANARY = "c4naryc4naryc4nary"
SECRET = "an odd secret"


class Pipe:
    """A pipe whose reading end gathers what was logged."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.output = LogOutput(self.writing)

    def lines(self) -> list[dict[str, Any]]:
        """All lines; ends the output."""
        self.output.close()
        os.close(self.writing)
        with io.FileIO(self.reading) as file:
            return [wire.loads(line) for line in file.readall().splitlines()]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    made = Pipe()
    configure_logging("info", [SECRET], output=made.output)
    yield made
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def test_a_line_has_time_level_logger_event_and_the_extra_fields(pipe: Pipe) -> None:
    logging.getLogger("gateway.x").info("thing_done", extra={"request_id": "req_1", "count": 3})
    (line,) = pipe.lines()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "gateway.x",
        "event": "thing_done",
        "request_id": "req_1",
        "count": 3,
    }


def test_lines_below_the_level_are_left_out(pipe: Pipe) -> None:
    logging.getLogger("gateway.x").debug("detail")
    assert pipe.lines() == []


def test_p59_no_secret_leaves_in_message_fields_or_exceptions(pipe: Pipe) -> None:
    log = logging.getLogger("gateway.x")
    log.warning("key sk-ant-%s and %s", CANARY, SECRET)
    log.info(
        "fields",
        extra={
            "url": f"redis://:{CANARY}@host",
            "headers": {"X-API-Key": CANARY, "Accept": f"text {SECRET}"},
            "deep": [{"api_key": CANARY}, (f"Bearer {CANARY}",)],
            "odd": OSError(f"password={CANARY}"),
            "authorization": [CANARY],
            SECRET: "as a name",
        },
    )
    secret_local = CANARY
    try:
        raise RuntimeError(f"Bearer {secret_local}")
    except RuntimeError:
        log.exception("failed")
    text = wire.dumps(pipe.lines()).decode()
    assert CANARY not in text
    assert "RuntimeError" in text
    assert "test_logs.py" in text


def test_p59_values_inside_exceptions_are_not_told(pipe: Pipe) -> None:
    log = logging.getLogger("gateway.x")
    prompt = "the words of the client"
    for error in (
        KeyError(prompt),
        ValueError(f"bad: {prompt}"),
        RuntimeError(f"refused {prompt!r}"),
        RuntimeError(f"statement failed\n[parameters: {prompt}]"),
        InvalidRequestError(f"{prompt!r} is no role", param="messages[0].role"),
    ):
        log.error("failed", exc_info=error)
    lines = pipe.lines()
    assert len(lines) == 5
    assert prompt not in wire.dumps(lines).decode()


def test_causes_are_told_in_order() -> None:
    error = UnavailableError("the database is down", detail="pool")
    error.__cause__ = ConnectionResetError(104, "Connection reset by peer")
    assert describe_error(error) == (
        "UnavailableError: the database is down | pool"
        " <- ConnectionResetError: [Errno 104] Connection reset by peer"
    )


def test_a_refused_request_is_told_by_path_and_reason_without_its_words(pipe: Pipe) -> None:
    error = InvalidRequestError(
        "messages[2].role must be user or assistant, not 'my \\'private\\' words'",
        param="messages[2].role",
    )
    log_refused("req_7", error)
    (line,) = pipe.lines()
    assert line["event"] == "request_refused"
    assert line["request_id"] == "req_7"
    assert line["status"] == 400
    assert line["path"] == "messages[2].role"
    assert line["reason"] == "messages[2].role must be user or assistant, not '...'"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Claude's API doesn't answer", "Claude's API doesn't answer"),
        (f"no such name {'x y'!r}", "no such name '...'"),
        (f"""got {"it's"!r} and {'both " and '!r}""", "got '...' and '...'"),
        (repr("""it's "both" ways""") + " is wrong", "'...' is wrong"),
    ],
)
def test_quotations_are_left_out_and_apostrophes_are_not(message: str, shown: str) -> None:
    assert without_quotations(message) == shown


def test_a_record_that_cannot_be_printed_does_not_break_its_caller(pipe: Pipe) -> None:
    loop: list[object] = []
    loop.append(loop)
    (handler,) = [item for item in logging.getLogger().handlers if isinstance(item, JSONHandler)]
    wrong = {"name": "gateway.x", "levelno": 20, "msg": "wrong %d", "args": ("argument",)}
    handler.handle(logging.makeLogRecord(wrong))
    logging.getLogger("gateway.x").info(
        "odd", extra={"loop": loop, "number": 2**70, "thing": object(), "lone": "\ud83d"}
    )
    first, second = pipe.lines()
    assert first == {"level": "error", "event": "log_line_broken", "reason": "TypeError"}
    assert second["number"] == 2**70
    assert second["lone"] == "\ufffd"


def test_long_values_are_cut(pipe: Pipe) -> None:
    log = logging.getLogger("gateway.x")
    log.info("long", extra={"text": "x" * 100_000, "many": list(range(1000))})
    (line,) = pipe.lines()
    assert len(line["text"]) < 3000
    assert len(line["many"]) == 50


def test_python_warnings_become_lines(pipe: Pipe) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing", stacklevel=1)
    (line,) = pipe.lines()
    assert line["logger"] == "py.warnings"


def test_p53_a_storm_of_warnings_is_cut_and_counted(pipe: Pipe) -> None:
    log = logging.getLogger("gateway.x")
    for number in range(10_000):
        log.warning(f"storm {number}")  # noqa: G004 - libraries do, and must be held as well
    lines = pipe.lines()
    # 20 a second; the loop may run over a few seconds on a busy machine.
    assert 20 <= len(lines) <= 400


def test_the_first_line_after_a_storm_says_how_many_were_left_out() -> None:
    now = 5.0
    guard = StormGuard(lambda: now)
    record = logging.makeLogRecord({"levelno": logging.WARNING, "pathname": "a", "lineno": 1})
    outcomes = [guard.left_out(record) for _ in range(50)]
    assert outcomes == [0] * 20 + [None] * 30
    other = logging.makeLogRecord({"levelno": logging.WARNING, "pathname": "a", "lineno": 2})
    assert guard.left_out(other) == 0
    now = 6.0
    assert guard.left_out(record) == 30
    assert guard.left_out(record) == 0


def wait_until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_lines_leave_in_batches_without_being_asked() -> None:
    pipe = Pipe()
    for number in range(100):
        pipe.output.write(b'{"n": %d}\n' % number, urgent=False)
    os.set_blocking(pipe.reading, False)
    seen = b""

    def arrived() -> bool:
        nonlocal seen
        try:
            seen += os.read(pipe.reading, 2**16)
        except BlockingIOError:
            return False
        return seen.count(b"\n") == 100

    wait_until(arrived)
    assert pipe.lines() == []


def test_a_stalled_reader_costs_lines_and_never_the_caller() -> None:
    pipe = Pipe()
    line = b"x" * 1023 + b"\n"
    begun = time.monotonic()
    for _ in range(20_000):
        pipe.output.write(line, urgent=True)
    # 20 MB into a pipe nobody reads, and the caller went on.
    assert time.monotonic() - begun < 20
    received: list[bytes] = []

    def read() -> None:
        while piece := os.read(pipe.reading, 2**16):
            received.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: sum(map(len, received)) > 4_000_000)
    pipe.output.close()
    os.close(pipe.writing)
    reader.join()
    os.close(pipe.reading)
    text = b"".join(received)
    # At most a full buffer, and another one that was taken out of it to be written.
    assert len(text) < 10_000_000
    assert b"log_lines_dropped" in text


def test_a_reader_that_is_gone_is_survived() -> None:
    pipe = Pipe()
    os.close(pipe.reading)
    for _ in range(10):
        pipe.output.write(b"line\n", urgent=True)
    pipe.output.close()
    os.close(pipe.writing)
