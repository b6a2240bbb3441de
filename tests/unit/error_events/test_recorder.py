"""Error events on their way: never waiting, bounded, brought to every sink."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gateway import wire
from gateway.error_events import recorder
from gateway.error_events.events import ErrorEvent, event_row
from gateway.error_events.export import EndpointSink, FileSink
from gateway.error_events.recorder import ErrorEvents
from gateway.errors import GatewayError, UnavailableError
from gateway.telemetry.metrics import MetricStore
from gateway.upstream.error_export import ErrorExportTransport
from gateway.wire import JSONObject
from tests.support.scripted_upstream import refuses, scripted_upstream


class Place:
    """Keeps rows in memory, or fails as it is told."""

    name = "postgres"

    def __init__(self, *failures: GatewayError) -> None:
        self.rows: list[JSONObject] = []
        self.failures = list(failures)
        self.written = asyncio.Event()

    async def write(self, rows: Sequence[JSONObject]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.rows += rows
        self.written.set()


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[MetricStore]:
    store = MetricStore(tmp_path / "metrics", "api")
    yield store
    store.close()


def failed(**fields: object) -> ErrorEvent:
    base: dict[str, object] = {
        "source": "upstream",
        "kind": "overloaded_error",
        "code": "overloaded",
        "status": 529,
        "attempt": 1,
    }
    return ErrorEvent(**{**base, **fields})  # type: ignore[arg-type]


async def test_events_come_to_every_sink_in_their_order(metrics: MetricStore) -> None:
    one, two = Place(), Place()
    events = ErrorEvents([one, two], metrics)
    for number in range(1200):
        events.note(failed(attempt=number))
    await events.finish()
    assert [row["attempt"] for row in one.rows] == list(range(1200))
    assert one.rows == two.rows
    assert len({row["id"] for row in one.rows}) == 1200


async def test_a_sink_that_fails_is_tried_again_and_keeps_nobody_from_theirs(
    metrics: MetricStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_POLL_SECONDS", 0.01)
    down = [UnavailableError("the database is down") for _ in range(3)]
    bad, good = Place(*down), Place()
    events = ErrorEvents([bad, good], metrics)
    events.note(failed())
    running = asyncio.ensure_future(events.run())
    async with asyncio.timeout(5):
        await bad.written.wait()
    running.cancel()
    await asyncio.wait([running])
    assert bad.rows == good.rows
    assert not bad.failures


async def test_what_waits_is_bounded_and_what_is_lost_is_counted(
    metrics: MetricStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MAX_WAITING", 10)
    place = Place()
    events = ErrorEvents([place], metrics)
    for number in range(25):
        events.note(failed(attempt=number))
    await events.finish()
    assert [row["attempt"] for row in place.rows] == list(range(15, 25))
    text = (await metrics.render()).decode()
    assert 'gateway_error_events_dropped_total{kind="postgres"} 15.0' in text


async def test_a_flood_of_refusals_is_cut_by_project_and_failures_are_not(
    metrics: MetricStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    place = Place()
    events = ErrorEvents([place], metrics)
    for _ in range(200):
        events.note(failed(source="gateway", project="loud", status=429))
    events.note(failed(source="gateway", project="quiet", status=401))
    for _ in range(100):
        events.note(failed(project="loud"))
    await events.finish()
    by_project = [row["project"] for row in place.rows if row["source"] == "gateway"]
    assert by_project == ["loud"] * recorder.REFUSALS_A_SECOND + ["quiet"]
    assert sum(row["source"] == "upstream" for row in place.rows) == 100


def test_texts_of_an_event_are_bounded_and_can_be_stored() -> None:
    row = event_row(failed(model="m" * 5000, code="a\x00b"))
    assert len(row["model"]) == 200
    assert row["code"] == "a\ufffdb"


async def test_a_file_takes_lines_and_may_be_moved_away(
    tmp_path: Path, metrics: MetricStore
) -> None:
    path = tmp_path / "errors.jsonl"
    events = ErrorEvents([FileSink(path)], metrics)
    events.note(failed(attempt=1))
    await events.finish()
    path.rename(tmp_path / "errors.1.jsonl")
    events.note(failed(attempt=2))
    await events.finish()
    first = [wire.loads(line) for line in (tmp_path / "errors.1.jsonl").read_bytes().splitlines()]
    second = [wire.loads(line) for line in path.read_bytes().splitlines()]
    assert [row["attempt"] for row in first + second] == [1, 2]
    assert path.stat().st_mode & 0o077 == 0


async def test_an_endpoint_gets_lines_until_it_says_it_has_them(metrics: MetricStore) -> None:
    answers = refuses("503 Service Unavailable", b""), refuses("204 No Content", b"")
    async with (
        scripted_upstream(*answers) as server,
        ErrorExportTransport(
            f"{server.base_url}/in", "a-token", first_byte_seconds=2, idle_seconds=2
        ) as transport,
    ):
        sink = EndpointSink(transport)
        rows = [event_row(failed(attempt=number)) for number in (1, 2)]
        with pytest.raises(UnavailableError) as refused:
            await sink.write(rows)
        assert refused.value.detail == "HTTP 503"
        await sink.write(rows)
    assert server.heads[-1].startswith(b"POST /in HTTP/1.1")
    assert b"authorization: Bearer a-token" in server.heads[-1]
    assert [wire.loads(line)["attempt"] for line in server.bodies[-1].splitlines()] == [1, 2]
