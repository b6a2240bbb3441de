import fcntl
import os
from pathlib import Path

import pytest

from gateway import wire
from gateway.telemetry import series
from gateway.telemetry.metric_files import MetricFiles
from gateway.telemetry.metric_state import MetricState, state_from_json


def state(hits: float = 0.0, active: float = 0.0, circuit: float = 0.0) -> MetricState:
    made = MetricState()
    made.put(series.CACHE_HITS, ("prompt",), hits)
    made.put(series.ACTIVE_REQUESTS, ("m",), active)
    made.put(series.CIRCUIT_STATE, ("u",), circuit)
    made.put(series.STREAM_DURATION, ("m", "p"), [hits] * 16)
    return made


def hits(files: MetricFiles) -> float:
    cell = files.others().cells[series.CACHE_HITS].get(("prompt",), 0.0)
    assert isinstance(cell, float | int)
    return cell


def test_a_state_survives_its_file_form() -> None:
    before = state(3, 1, 2)
    after = state_from_json(wire.loads(wire.dumps(before.as_json())))
    assert {k: v for k, v in after.cells.items() if v} == {
        k: v for k, v in before.cells.items() if v
    }


def test_series_of_another_shape_are_left_out() -> None:
    data = wire.loads(wire.dumps(state(3).as_json()))
    data["series"]["gateway_stream_duration_seconds"]["buckets"] = [1.0]
    data["series"]["gateway_cache_hits_total"]["cells"] = [[["a", "b"], 1.0]]
    read = state_from_json(data)
    assert not read.cells[series.STREAM_DURATION]
    assert not read.cells[series.CACHE_HITS]
    assert not state_from_json({"format": 99}).cells[series.CACHE_HITS]


def test_living_processes_are_summed_and_breakers_take_the_worst(tmp_path: Path) -> None:
    first, second, reader = (MetricFiles(tmp_path, "api") for _ in range(3))
    first.publish(state(3, 1, 2))
    second.publish(state(4, 5, 1))
    total = reader.others()
    assert total.cells[series.CACHE_HITS] == {("prompt",): 7}
    assert total.cells[series.ACTIVE_REQUESTS] == {("m",): 6}
    assert total.cells[series.CIRCUIT_STATE] == {("u",): 2}
    assert total.cells[series.STREAM_DURATION] == {("m", "p"): [7] * 16}


def test_an_ended_process_leaves_its_counters_and_takes_its_gauges(tmp_path: Path) -> None:
    ended, reader = MetricFiles(tmp_path, "api"), MetricFiles(tmp_path, "api")
    ended.publish(state(3, 1, 2))
    ended.close()
    for _ in range(3):
        total = reader.others()
        assert total.cells[series.CACHE_HITS] == {("prompt",): 3}
        assert not total.cells[series.ACTIVE_REQUESTS]
        assert not total.cells[series.CIRCUIT_STATE]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "base.metrics",
        "fold.lock",
        f"{reader.writer}.metrics",
        f"{reader.writer}.alive",
    }


def test_a_fold_cut_after_the_base_was_written_counts_nothing_twice(tmp_path: Path) -> None:
    ended, reader = MetricFiles(tmp_path, "api"), MetricFiles(tmp_path, "api")
    ended.publish(state(3))
    ended.close()
    leftovers = {path: path.read_bytes() for path in tmp_path.glob(f"{ended.writer}.*")}
    assert hits(reader) == 3
    for path, content in leftovers.items():
        path.write_bytes(content)
    assert hits(reader) == 3
    assert not list(tmp_path.glob(f"{ended.writer}.*"))
    later = MetricFiles(tmp_path, "api")
    later.publish(state(10))
    later.close()
    assert hits(reader) == 13


def test_a_fold_cut_before_the_base_was_written_loses_nothing(tmp_path: Path) -> None:
    ended, reader = MetricFiles(tmp_path, "api"), MetricFiles(tmp_path, "api")
    ended.publish(state(3))
    ended.close()
    (tmp_path / "base.metrics.0123.new").write_bytes(b'{"format": 1, "ser')
    (tmp_path / f"{ended.writer}.metrics.0123.new").write_bytes(b"")
    assert hits(reader) == 3
    assert not list(tmp_path.glob("*.new"))


def test_readers_are_right_while_a_stopped_process_holds_the_fold_lock(tmp_path: Path) -> None:
    ended, reader = MetricFiles(tmp_path, "api"), MetricFiles(tmp_path, "api")
    ended.publish(state(3, 1))
    ended.close()
    lock = os.open(tmp_path / "fold.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    total = reader.others()
    assert total.cells[series.CACHE_HITS] == {("prompt",): 3}
    assert not total.cells[series.ACTIVE_REQUESTS]
    assert list(tmp_path.glob(f"{ended.writer}.metrics"))
    os.close(lock)
    assert hits(reader) == 3
    assert not list(tmp_path.glob(f"{ended.writer}.metrics"))


def test_a_torn_file_is_read_as_empty(tmp_path: Path) -> None:
    other, reader = MetricFiles(tmp_path, "api"), MetricFiles(tmp_path, "api")
    other.publish(state(3))
    (tmp_path / f"{other.writer}.metrics").write_bytes(b'{"format":')
    assert hits(reader) == 0
    (tmp_path / "base.metrics").write_bytes(b"")
    assert hits(reader) == 0


def test_a_directory_that_cannot_be_written_is_told_once_and_used_again_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="gateway.metrics")
    blocked = tmp_path / "metrics"
    blocked.write_text("a file stands where the directory should be")
    files = MetricFiles(blocked, "api")
    for _ in range(3):
        files.publish(state(1))
    assert hits(files) == 0
    blocked.unlink()
    files.publish(state(1))
    assert hits(MetricFiles(blocked, "api")) == 1
    messages = [record.message for record in caplog.records]
    assert messages == ["metrics_not_published", "metrics_published_again"]
