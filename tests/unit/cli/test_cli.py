"""The command line: help, usage errors, exit codes."""

import re
from pathlib import Path

import pytest

import worker
from gateway.cli import main
from gateway.cli.parser import build_parser
from gateway.stack.ports import DEFAULT_PORTS
from gateway.version import VERSION
from workflows.registry import WORKFLOWS

COMMANDS = (
    "up",
    "connect",
    "chat",
    "batch",
    "savings",
    "status",
    "restart",
    "doctor",
    "migrate",
    "api",
    "worker",
)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # away from a developer's .env
    for name in ("DATABASE_URL", "REDIS_URL", "TEMPORAL_ADDRESS", "DATA_DIR", "RATE_LIMIT_RPM"):
        monkeypatch.delenv(name, raising=False)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"coding-gateway {VERSION}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert len(capsys.readouterr().out) > 200


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    assert all(f"\n    {command} " in listed for command in COMMANDS)
    overview = listed.split("commands:")[0]
    assert all(f"\n  coding-gateway {command} " in overview for command in COMMANDS)


def test_the_help_of_worker_shows_the_options_of_the_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = {}
    for name, run in (("gateway", main), ("program", worker.main)):
        with pytest.raises(SystemExit):
            run(["worker", "--help"] if name == "gateway" else ["--help"])
        shown[name] = capsys.readouterr().out
    options = set(re.findall(r"--[a-z-]+", shown["program"])) - {"--help"}
    assert options == {"--task-queue", "--ready-file"}
    assert options <= set(re.findall(r"--[a-z-]+", shown["gateway"]))
    assert f"--task-queue {{{','.join(WORKFLOWS)}}}" in shown["gateway"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["up", "--port", "70000"],
        ["up", "--port", "x"],
        ["up", "--api-processes", "0"],
        ["up", "--postgres-port", "0"],
        ["up", "--unheard-of"],
        ["status", "extra"],
    ],
)
def test_wrong_usage_is_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err


def test_every_embedded_port_has_an_option() -> None:
    options = build_parser().parse_args(
        ["up", *(f"--{name}-port={number}" for number, name in enumerate(DEFAULT_PORTS, 4000))]
    )
    given = [getattr(options, f"{name.replace('-', '_')}_port") for name in DEFAULT_PORTS]
    assert given == list(range(4000, 4000 + len(DEFAULT_PORTS)))


def test_status_of_nothing_is_exit_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--data-dir", str(tmp_path)]) == 3
    assert f"Nothing runs on {tmp_path}" in capsys.readouterr().out


def test_a_wrong_setting_is_one_line_without_the_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RATE_LIMIT_RPM", "much-too-secret")
    assert main(["up", "--data-dir", str(tmp_path / "data")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "RATE_LIMIT_RPM" in said
    assert "much-too-secret" not in said
    assert not (tmp_path / "data").exists()


def test_migrate_without_a_database_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate", "--data-dir", str(tmp_path)]) == 1
    assert "set DATABASE_URL" in capsys.readouterr().err


def test_doctor_finds_a_bare_machine_sound_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    code = main(["doctor", "--data-dir", str(tmp_path / "data"), "--port", "1"])
    said = capsys.readouterr().out
    for name in ("python", "programs", "disk space", "postgres", "valkey", "temporal", "upstream"):
        assert name in said
    assert "the simulator answers" in said
    assert "set ANTHROPIC_API_KEY" in said
    assert code in {0, 1}  # port 1 may not be ours to take
    assert not (tmp_path / "data").exists()
