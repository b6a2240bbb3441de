"""The journal's files: what stands in them after rotation, torn lines and full disks."""

import contextlib
import resource
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from gateway import wire
from gateway.structs import replace
from gateway.usage import journal as journal_module
from gateway.usage.events import (
    Outcome,
    RequestOpened,
    TokenUsage,
    UsageEvent,
    close_event,
    new_event_id,
    now,
    opened_of,
    usage_of,
)
from gateway.usage.journal import Journal
from gateway.usage.prompt_reduction import Ledger, PromptReduction
from gateway.usage.segments import adopted, files_in, make_segment, read_all, read_chunk


def opened(session_id: str | None = None) -> RequestOpened:
    started_at = datetime(2026, 11, 22, 23, 59, 59, 999, tzinfo=UTC)
    return RequestOpened(
        event_id=new_event_id(),
        day=started_at.date(),
        started_at=started_at,
        project="default",
        key_id="bootstrap",
        request_id="req_1",
        endpoint="chat_completions",
        session_id=session_id,
    )


def event(request: RequestOpened) -> UsageEvent:
    outcome = Outcome("ok", 200, model="claude-sonnet-5-5", cost_usd=Decimal("1E-7"))
    return close_event(request, outcome, TokenUsage(input_tokens=7))


def records(directory: Path) -> list[str]:
    return [record["record"] for file in files_in(directory) for record in read_all(file)]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path, "api", segment_bytes=200)
    yield journal
    journal.shut()


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow over `size` bytes: a write that crosses it is cut, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_ids_sort_by_time_and_the_day_is_that_of_the_start() -> None:
    ids = [new_event_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [each[:12] for each in ids] == sorted(each[:12] for each in ids)
    started_at, day = now()
    assert started_at.tzinfo is UTC
    assert day == started_at.date()


def test_each_step_is_one_whole_line_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "api")
    request = opened(session_id="s")
    journal.open(request)
    assert records(tmp_path) == ["open"]
    usage = TokenUsage(input_tokens=7, speed="fast")
    journal.start(request.event_id, usage, model="m", upstream="u", first_token_ms=1.5)
    assert records(tmp_path) == ["open", "start"]
    journal.close(event(request))
    (file,) = files_in(tmp_path)
    first, second, third = read_all(file)
    assert opened_of(first) == request
    assert usage_of(second) == usage
    assert (third["record"], third["day"], third["cost_usd"]) == ("close", "2026-11-22", "1E-7")
    assert file.stat().st_mode & 0o077 == 0
    journal.shut()


def test_a_full_file_takes_the_rest_of_its_requests_only(journal: Journal) -> None:
    first, second = opened(), opened()
    journal.open(first)
    journal.open(second)
    old, new = journal.segments()
    journal.close(event(first))
    assert old.is_complete
    assert not new.is_complete
    assert [record["event_id"] for record in read_all(old.path)] == [first.event_id] * 2
    journal.remove(old)
    assert files_in(journal.directory) == [new.path]


def test_an_event_that_was_never_opened_is_kept_all_the_same(journal: Journal) -> None:
    journal.close(event(opened()))
    assert records(journal.directory) == ["close"]
    assert journal.in_flight == 0


def test_a_file_belongs_to_its_process_until_it_lets_go(tmp_path: Path) -> None:
    segment = make_segment(tmp_path, "api")
    with adopted(segment.path) as is_orphan:
        assert not is_orphan
    segment.release()
    with adopted(segment.path) as is_orphan:
        assert is_orphan
        with adopted(segment.path) as twice:
            assert not twice
    segment.path.unlink()
    with adopted(segment.path) as is_orphan:
        assert not is_orphan


def test_a_torn_last_line_is_not_read_and_a_damaged_one_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.usage.jsonl"
    file.write_bytes(b'{"record":"open"}\n{"rec\n[1]\n\n{"record":"close"}\n{"record":"op')
    chunk = read_chunk(file, 0)
    assert file.read_bytes()[chunk.end :] == b'{"record":"op'
    assert read_chunk(file, chunk.end).end == chunk.end
    assert chunk.closes() == [b'{"record":"close"}']
    assert [each.args for each in caplog.records] == [(5,), (3,)]  # lengths, and no words of theirs
    assert [record["record"] for record in read_all(file)] == ["open", "close"]
    assert len(caplog.records) == 4


@pytest.mark.parametrize("limit", [1, 7, 20, 1000])
def test_reading_in_pieces_gives_every_line_once(tmp_path: Path, limit: int) -> None:
    file = tmp_path / "a.usage.jsonl"
    file.write_bytes(b"".join(wire.dumps({"n": n}) + b"\n" for n in range(30)))
    position, seen = 0, []
    while (chunk := read_chunk(file, position, limit)).end > position:
        seen += [wire.loads(line)["n"] for line in chunk.lines]
        position = chunk.end
    assert seen == list(range(30))


def test_no_line_is_lost_or_torn_at_any_fill_of_the_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever byte the disk ends at, each event is in the file or in memory."""
    for room in (*range(0, 2000, 9), 10_000):
        directory = tmp_path / str(room)
        journal = Journal(directory, "api")
        caplog.clear()
        before, during, after = opened(), opened(), opened()
        with disk_of(room):
            for request in (before, during):
                journal.open(request)
                journal.close(event(request))
            assert journal.is_failing == (room < 10_000)
        journal.open(after)
        journal.close(event(after))
        assert not journal.is_failing
        closed = {
            record["event_id"]
            for file in files_in(directory)
            for record in read_all(file)
            if record["record"] == "close"
        }
        waiting = {each.event_id for each in journal.overflow}
        assert after.event_id in closed
        assert {before.event_id, during.event_id} <= closed | waiting
        assert len(closed) + len(waiting) >= 3
        journal.shut()


def test_memory_has_a_limit_and_what_it_drops_is_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal_module, "OVERFLOW_EVENTS", 2)
    journal = Journal(Path("/dev/null/journal"), "api")
    events = [event(opened()) for _ in range(3)]
    for each in events:
        journal.close(each)
    assert list(journal.overflow) == events[1:]
    assert journal.lost_events == 1
    assert "an event is lost" in caplog.text


def test_every_field_of_an_event_is_the_one_of_its_name() -> None:
    day = date(2026, 11, 25)
    started = datetime(2026, 11, 25, 12, tzinfo=UTC)
    opened = RequestOpened(
        "e", day, started, "p", "k", "r", "/x", "c", "s", "a", "why", "class", "talk", 3, True,
        {"n": 1}, "asked", "m", "u", True, "b", PromptReduction(5), True, True,
    )  # fmt: skip
    outcome = Outcome(
        "error", 418, error_code="code", stop_reason="stop", estimated=True, cost_usd=Decimal(7),
        price_date="2026", latency_ms=8.0, first_token_ms=9.0,
    )  # fmt: skip
    usage = TokenUsage(*range(10, 17), "tier", "fast", "us")  # type: ignore[call-arg]
    event = close_event(opened, outcome, usage, Ledger(1.5, 0.5, {}))
    for source in (opened, outcome, usage):
        for name in source.__struct_fields__:
            if name not in ("reduction", "model", "upstream") and hasattr(event, name):
                assert getattr(event, name) == getattr(source, name), name
    assert (event.model, event.upstream) == ("m", "u")
    assert (event.baseline_input_usd, event.billed_input_usd) == (1.5, 0.5)
    assert event.reduction == {"techniques": {}}
    served = close_event(opened, replace(outcome, model="other", upstream="v"), usage)
    assert (served.model, served.upstream, served.reduction) == ("other", "v", None)
