"""What counts as failed, when a request is the one before, and what is published."""

import asyncio

import pytest

from gateway import wire
from gateway.routing.outcomes import (
    NOTHING_KNOWN,
    Counts,
    OutcomeSnapshot,
    failed_results,
    keep_fresh,
    read_snapshot,
    request_mark,
)
from gateway.wire import JSONObject
from tests.unit.routing.router_parts import called, chat


@pytest.mark.parametrize(
    "result",
    [
        "Error: file not found",
        "<tool_use_error>File has not been read yet</tool_use_error>",
        "Traceback (most recent call last):\n  File 'x'",
        "make: *** [all] Error 2\nexit code: 2",
        "Process exited with code 1",
        "bash: foo: command not found",
        "fatal: not a git repository",
    ],
)
def test_results_that_look_failed_count(result: str) -> None:
    assert failed_results(chat("go", *called(1, result)).body["messages"]) == 1


@pytest.mark.parametrize(
    "result",
    [
        "",
        "ok",
        "12 passed",
        "exit code: 0",
        "def handle(error: Exception) -> None: ...",
        "src/errors.py\nsrc/main.py",
        "x" * 300 + " Error: in the middle of a file " + "x" * 300,
    ],
)
def test_other_results_do_not(result: str) -> None:
    assert failed_results(chat("go", *called(1, result)).body["messages"]) == 0


def test_only_the_newest_message_is_judged() -> None:
    messages = chat("go", *called(1, "error: x"), *called(2, "ok")).body["messages"]
    assert failed_results(messages) == 0
    flagged: JSONObject = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "a", "is_error": True}],
    }
    assert failed_results([flagged]) == 1
    assert failed_results([{"role": "user", "content": "error: x"}]) == 0
    assert failed_results([]) == 0


def test_marks_tell_requests_apart() -> None:
    def mark(*messages: str | JSONObject) -> str:
        return request_mark(chat(*messages).body["messages"])

    assert mark("fix it") == mark("other", {"role": "assistant", "content": "ok"}, "fix it")
    assert mark("fix it") != mark("fix that")
    assert mark("go", *called(1, "ok")) != mark("go", *called(2, "ok"))
    assert mark("a" * 10_000) != mark("a" * 10_001)
    assert request_mark([{"role": "user", "content": "x"}]) != request_mark([])


def test_a_snapshot_is_read_as_published() -> None:
    published = wire.dumps({"rows": [["web", "docs", "m", 1.5, 2]]})
    snapshot = OutcomeSnapshot(read_snapshot(published))
    assert snapshot.of("web", "docs", "m") == Counts(1.5, 2.0)
    assert snapshot.of("other", "docs", "m") is NOTHING_KNOWN
    for wrong in (b"{}", b"[]", b'{"rows":[["a"]]}', b"not json"):
        with pytest.raises(ValueError, match="snapshot"):
            read_snapshot(wrong)


async def test_what_cannot_be_read_leaves_the_snapshot() -> None:
    answers = [b"broken", None, wire.dumps({"rows": [["p", "docs", "m", 3, 0]]})]
    for published in answers:
        snapshot = OutcomeSnapshot([("p", "docs", "m", Counts(1, 1))])
        read = asyncio.Event()

        async def answer(
            published: bytes | None = published, read: asyncio.Event = read
        ) -> bytes | None:
            read.set()
            return published

        task = asyncio.create_task(keep_fresh(snapshot, answer))
        await read.wait()
        await asyncio.sleep(0)
        task.cancel()
        expected = Counts(3, 0) if published == answers[-1] else Counts(1, 1)
        assert snapshot.of("p", "docs", "m") == expected
