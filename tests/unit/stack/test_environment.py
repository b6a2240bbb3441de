"""What children inherit."""

from pathlib import Path

import pytest

from gateway.stack import environment


def test_programs_inherit_everything_and_what_is_set_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "debug")
    monkeypatch.setenv("DATA_DIR", "/old")
    told = environment.for_programs({"DATA_DIR": "/new"})
    assert (told["LOG_LEVEL"], told["DATA_DIR"]) == ("debug", "/new")


def test_a_checkout_is_importable_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/mine")
    paths = environment.for_programs({})["PYTHONPATH"].split(":")
    assert paths == [str(environment.program_root()), "/mine"]


def test_servers_get_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    told = environment.for_servers(tmp_path)
    assert "sk-secret" not in told.values()
    assert told["HOME"] == str(tmp_path)
