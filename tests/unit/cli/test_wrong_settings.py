"""Every command stops at a wrong setting: one line that names the variable, never the value."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import worker
from gateway.cli import main
from gateway.config import Settings
from gateway.stack.environment import program_root

SECRET = "canary"
ELSEWHERE = {
    "DATABASE_URL": "postgresql://gateway@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "TEMPORAL_ADDRESS": "127.0.0.1:1",
    "ENCRYPTION_KEYS": "0123456789abcdef",
    "ANTHROPIC_API_KEY": "sk",
}

NOT_AN_ADDRESS = [
    ("DATABASE_URL", SECRET),
    ("DATABASE_URL", f"mysql://{SECRET}/x"),
    ("DATABASE_URL", f"postgresql://gateway:{SECRET}/pw@db:5432/x"),
    ("REDIS_URL", f"{SECRET}r"),
    ("REDIS_URL", f"redis://:{SECRET}#x@127.0.0.1:6379/0"),
    ("TEMPORAL_ADDRESS", f"foo:{SECRET}"),
]
NOT_USABLE = [
    *NOT_AN_ADDRESS,
    ("SHUTDOWN_GRACE_SECONDS", "inf"),
    ("WORKER_GRACE_SECONDS", "nan"),
    ("GATEWAY_API_KEY", f"{SECRET}ä"),
    ("ANTHROPIC_BASE_URL", f"http://host:{SECRET}"),
]
NOT_IN_THE_TABLES = [
    ("DEFAULT_MODEL", SECRET),
    ("SMALL_MODEL", SECRET),
    ("OPUS_MODEL", SECRET),
    ("MODEL_FALLBACKS", f"{SECRET}>x"),
    ("UPSTREAMS", f"[{SECRET}"),
    ("UPSTREAMS", f'[{{"name": "a", "base_url": "http://h:{SECRET}", "api_key": "k"}}]'),
    ("UPSTREAMS", f'[{{"name": "a", "base_url": "http://h", "api_key": "{SECRET}\\u00e4"}}]'),
    ("ENCRYPTION_KEYS", SECRET),
    ("MODELS_FILE", f"/nope/{SECRET}"),
    ("TOOL_KINDS_FILE", f"/nope/{SECRET}"),
    ("BOILERPLATE_FILE", f"/nope/{SECRET}"),
]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # away from a developer's .env
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def is_one_line(said: str, name: str) -> bool:
    return said.count("\n") == 1 and f"{name}: " in said and SECRET not in said


@pytest.mark.parametrize(("name", "value"), [*NOT_USABLE, *NOT_IN_THE_TABLES])
@pytest.mark.parametrize("command", ["up", "doctor"])
def test_before_anything_is_started_or_looked_at(
    command: str,
    name: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)
    assert main([command, "--data-dir", str(tmp_path / "data")]) == 1
    said = capsys.readouterr()
    assert is_one_line(said.err, name), said.err
    assert not said.out
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("name", "value"), NOT_USABLE)
def test_before_the_database_is_migrated(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["migrate"]) == 1
    assert is_one_line(capsys.readouterr().err, name)


def test_the_simulator_needs_no_upstream_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UPSTREAMS", "[")
    (tmp_path / "data").touch()
    assert main(["up", "--simulate", "--data-dir", str(tmp_path / "data")]) == 1
    assert "the data directory" in capsys.readouterr().err


def test_several_processes_are_not_started_with_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (ELSEWHERE | {"DEFAULT_MODEL": SECRET}).items():
        monkeypatch.setenv(name, value)
    assert main(["api", "--processes", "2", "--port", "1"]) == 1
    assert is_one_line(capsys.readouterr().err, "DEFAULT_MODEL")


def test_before_one_process_serves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (ELSEWHERE | {"DATABASE_URL": SECRET}).items():
        monkeypatch.setenv(name, value)
    assert main(["api"]) == 1
    assert is_one_line(capsys.readouterr().err, "DATABASE_URL")


@pytest.mark.parametrize(
    ("name", "value"), [("WORKER_GRACE_SECONDS", "inf"), ("OPUS_MODEL", SECRET)]
)
def test_before_a_worker_connects(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for each, given in (ELSEWHERE | {name: value}).items():
        monkeypatch.setenv(each, given)
    assert worker.main([]) == 2
    assert is_one_line(capsys.readouterr().err, name)


@pytest.mark.parametrize(
    ("command", "exit_code", "name", "value"),
    [
        ("up", 1, *NOT_USABLE[4]),
        ("doctor", 1, *NOT_USABLE[2]),
        ("migrate", 1, *NOT_USABLE[0]),
        ("api", 1, "MODELS_FILE", f"/nope/{SECRET}"),
        ("worker", 2, "REDIS_URL", SECRET),
    ],
)
def test_as_a_program(command: str, exit_code: int, name: str, value: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "gateway.cli", command],
        check=False,
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": str(program_root()),
            **ELSEWHERE,
            name: value,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == exit_code
    assert is_one_line(done.stderr, name), done.stderr
    assert not done.stdout
