"""The record of what runs."""

from pathlib import Path

import pytest

from gateway.stack import run_state
from gateway.stack.process import Identity
from gateway.stack.run_state import RunningPart, RunState

STATE = RunState(
    supervisor=Identity(10, 1.5),
    base_url="http://127.0.0.1:8080/v1",
    temporal_ui="http://127.0.0.1:18233",
    simulated=True,
    external={"valkey": "cache:6379"},
    parts=(
        RunningPart("postgres", "postgres", Identity(11, 2.0), "127.0.0.1:15432", ready=True),
        RunningPart("api-1", "api", Identity(12, 2.5), "127.0.0.1:8080", restarts=3),
        RunningPart("api-2", "api", Identity(13, 2.5), "127.0.0.1:8080"),
    ),
)


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run_state.write(tmp_path / "state.json", STATE)
    assert run_state.read(tmp_path / "state.json") == STATE


def test_pids_are_listed_by_group() -> None:
    assert STATE.pids("api") == [12, 13]
    assert STATE.pids("worker") == []


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"supervisor": 3, "parts": []}'])
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    assert run_state.read(tmp_path / "state.json") is None
    assert run_state.read(tmp_path / "absent.json") is None


def test_a_pid_reused_by_another_program_is_no_postmaster(tmp_path: Path) -> None:
    # Process 1 runs always, and surely not for this cluster.
    (tmp_path / "postmaster.pid").write_text("1\n/elsewhere\n")
    assert run_state.postmaster(tmp_path / "postmaster.pid") is None


@pytest.mark.parametrize("content", ["", "not a number\n"])
def test_a_broken_pid_file_names_no_postmaster(tmp_path: Path, content: str) -> None:
    (tmp_path / "postmaster.pid").write_text(content)
    assert run_state.postmaster(tmp_path / "postmaster.pid") is None


def test_an_identity_of_another_time_is_dead() -> None:
    assert not Identity(1, 1.0).is_alive()
