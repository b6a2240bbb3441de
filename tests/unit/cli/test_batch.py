"""`coding-gateway batch`: what is read from a file, and what a terminal shows."""

import io
from pathlib import Path
from typing import Any

import pytest

from gateway import wire
from gateway.cli.batch_lines import BatchLines
from gateway.cli.batch_progress import Bar
from gateway.cli.http_calls import CallError

NAME = Path("items.jsonl")


def copied(*lines: bytes, endpoint: str | None = None) -> tuple[BatchLines, list[Any]]:
    out = io.BytesIO()
    read = BatchLines("claude-sonnet-5-5", endpoint)
    read.copy(lines, NAME, out)
    return read, [wire.loads(line) for line in out.getvalue().splitlines()]


def test_plain_bodies_become_lines_of_a_batch() -> None:
    read, lines = copied(b'{"messages":[]}\n', b"\n", b'{"custom_id":"b","model":"x"}\n')
    assert (read.count, read.endpoint) == (2, "/v1/chat/completions")
    assert lines[0] == {
        "custom_id": "line-1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"messages": [], "model": "claude-sonnet-5-5"},
    }
    assert lines[1]["custom_id"] == "b"
    assert lines[1]["body"] == {"model": "x"}


def test_lines_of_openai_pass_and_name_their_endpoint() -> None:
    line = {"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"input": "x"}}
    read, lines = copied(wire.dumps(line))
    assert read.endpoint == "/v1/embeddings"
    assert lines == [line]


@pytest.mark.parametrize("bad", [b"{", b"[]", b"7"])
def test_a_bad_line_is_named(bad: bytes) -> None:
    with pytest.raises(CallError, match=r"items\.jsonl, line 2: not a JSON object"):
        copied(b"{}", bad)


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(CallError, match="has no lines"):
        copied(b"\n")


def batch(done: int, status: str = "in_progress", failed: int = 0) -> dict[str, Any]:
    counts = {"total": 200, "waiting": 200 - done, "failed": failed}
    return {"counts": counts, "status": status, "cost_usd": 0.5}


def test_elsewhere_than_in_a_terminal_each_step_is_a_line() -> None:
    output, now = io.StringIO(), 0.0
    bar = Bar(output, lambda: now)
    for done in (0, 5, 19, 20, 120):
        bar.show(batch(done))
        now += 10
    bar.show(batch(200, "completed", failed=3))
    bar.end()
    lines = output.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0] == f"[{'.' * 30}]  0/200 0%  in_progress  $0.5000"
    assert lines[2].endswith("$0.5000  3.0/s  0:26 left")
    assert lines[3] == f"[{'#' * 30}]  200/200 100%  completed  3 failed  $0.5000"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_terminal_one_line_is_drawn_anew() -> None:
    output = Terminal()
    bar = Bar(output)
    bar.show(batch(1))
    bar.show(batch(2))
    bar.end()
    assert output.getvalue().count("\r\x1b[2K") == 2
    assert output.getvalue().count("\n") == 1
