"""`coding-gateway savings`: figures for files that are there, clear errors for others."""

from pathlib import Path

import pytest

from gateway import wire
from gateway.cli import main
from gateway.savings.neutral_format import neutral_lines
from tests.unit.savings.bodies import session

TEXT = "\n".join(f"line {number} of what was said" for number in range(300))


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # away from a developer's .env
    for name in ("DEFAULT_MODEL", "DATABASE_URL", "DATA_DIR", "ENCRYPTION_KEYS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    file = tmp_path / "recorded.jsonl"
    chat = session(*(f"{TEXT}\nquestion {number}" for number in range(4)))
    file.write_bytes(b"".join(neutral_lines(chat)))
    return file


def replay(*arguments: object) -> int:
    return main(["savings", "replay", *map(str, arguments)])


def test_a_table_on_standard_output_and_progress_beside_it(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(recorded) == 0
    shown = capsys.readouterr()
    assert "mean of kinds" in shown.out
    assert "Everything the clients said can be read" in shown.out
    assert "[1/1] s1: 4 requests" in shown.err
    assert "[1/1]" not in shown.out


def test_figures_and_chart_are_written(recorded: Path, tmp_path: Path) -> None:
    figures, chart = tmp_path / "f.json", tmp_path / "c.svg"
    assert replay(recorded, "--json", figures, "--chart", chart, "--limit", 2) == 0
    told = wire.loads(figures.read_bytes())
    assert told["model"] == "claude-sonnet-5-5"
    assert told["total"]["requests"] == 2
    assert told["total"]["hidden"] == 0
    assert chart.read_text().startswith("<svg")


def figures_of(recorded: Path, tmp_path: Path, *arguments: object) -> dict[str, float]:
    file = tmp_path / "f.json"
    assert replay(recorded, "--json", file, *arguments) == 0
    total: dict[str, float] = wire.loads(file.read_bytes())["total"]
    return total


def test_options_choose_model_and_passes(recorded: Path, tmp_path: Path) -> None:
    usual = figures_of(recorded, tmp_path)
    dear = figures_of(recorded, tmp_path, "--model", "claude-opus-5-5")
    assert dear["plain"]["usd"] == pytest.approx(2 * usual["plain"]["usd"])  # type: ignore[index]
    bare = figures_of(recorded, tmp_path, "--references", "off", "--without-cache")
    assert bare["sent_saved"] < 0.01 < usual["sent_saved"]
    assert bare["input_saved"] < 0.01 < usual["input_saved"]


def test_settings_count_as_they_do_for_the_gateway(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENABLE_FILE_HASH_CACHE", "0")
    assert figures_of(recorded, tmp_path)["sent_saved"] < 0.01


def test_broken_lines_are_told_and_the_rest_counts(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with recorded.open("ab") as file:
        file.write(b"{broken\n")
    assert replay(recorded) == 0
    assert f"left out: {recorded}:" in capsys.readouterr().err


def test_a_request_that_fails_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = session("hello", "again")
    broken.requests[1].body["messages"] = [{"role": "martian", "content": "x"}]
    file = tmp_path / "b.jsonl"
    file.write_bytes(b"".join(neutral_lines(broken)))
    assert replay(file) == 1
    assert "request 2: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere: there is no such file"),
        (["empty"], "empty: holds no recorded sessions"),
        (["wrong.txt"], "wrong.txt: is no recorded session"),
        (["recorded.jsonl", "--chart", "x.gif"], "x.gif: a chart is a .svg or a .png file"),
        (["recorded.jsonl", "--json", "no/such/f.json"], "there is no folder no/such"),
        (["recorded.jsonl", "--model", "claude-of-nowhere"], "claude-of-nowhere"),
    ],
)
def test_what_cannot_be_done_is_exit_code_1_and_one_line(
    recorded: Path,
    tmp_path: Path,
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "wrong.txt").write_text("nothing of the kind")
    assert replay(*arguments) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["savings"], ["savings", "replay"], ["savings", "export"], ["savings", "fly"]],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


@pytest.mark.parametrize("action", ["replay", "export"])
def test_each_action_explains_itself(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["savings", action, "--help"])
    assert len(capsys.readouterr().out.splitlines()) > 12


def test_export_without_a_database_says_what_to_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    assert main(["savings", "export", "--out", str(out), "--data-dir", str(tmp_path / "d")]) == 1
    assert "DATABASE_URL" in capsys.readouterr().err
    assert not out.exists()
