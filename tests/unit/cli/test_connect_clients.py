"""`coding-gateway connect` for each client: printed, created, merged, repeated, refused."""

import ast
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway import wire
from gateway.cli import main
from gateway.cli.clients import jsonc
from gateway.cli.clients.registry import CLIENTS

KEY = "cgw_0123456789"
ROOT_URL = "http://127.0.0.1:18080"
URL = f"{ROOT_URL}/v1"
MODEL = "claude-sonnet-5-5"
GIVEN = ("--base-url", URL, "--api-key", KEY)
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "clients.md"

FILES = {
    "continue": ".continue/config.yaml",
    "kilo": ".config/kilo/kilo.json",
    "aider": ".aider.conf.yml",
    "codex": ".codex/config.toml",
    "claude-code": ".claude/settings.json",
    "opencode": ".config/opencode/opencode.json",
    "qwen-code": ".qwen/settings.json",
    "crush": ".config/crush/crush.json",
    "zed": ".config/zed/settings.json",
}
KEY_ELSEWHERE = {"codex", "zed"}

THEIRS = {  # what a user may have there, and what must still be there afterwards
    "continue": "name: Mine # my own\nversion: 2.0.0\nschema: v1\nmodels:\n  - name: Other\n"
    "    provider: ollama\n    model: x\nrules: [be kind]\n",
    "kilo": '{\n  // mine\n  "provider": {"other": {"name": "Other"}},\n}\n',
    "aider": "# mine\nauto-commits: false\nedit-format: whole\nmodel: gpt-4o # old\n",
    "codex": '# mine\nmodel = "gpt-6"\n\n[model_providers.other]\nname = "Other"\n\n[tui]\nx = 1\n',
    "claude-code": '{\n  "permissions": {"allow": ["Bash(ls:*)"]},\n  "env": {"MINE": "1"}\n}\n',
    "opencode": '{\n  // mine\n  "theme": "dark",\n  "provider": {}\n}\n',
    "qwen-code": '{"modelProviders": {"openai": [{"id": "qwen3"}]}, "ui": {"theme": "x"}}',
    "crush": '{"lsp": {"go": {"command": "gopls"}}, "models": {"small": {"model": "s"}}}',
    "zed": '// Zed settings\n{\n  "vim_mode": true,\n  "agent": {"dock": "left"},\n}\n',
}


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home directory of the test's own, and nothing that points elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (
        *("XDG_CONFIG_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR", "CONTINUE_GLOBAL_DIR"),
        *(
            "OPENCODE_CONFIG",
            "QWEN_HOME",
            "CRUSH_GLOBAL_CONFIG",
            "GATEWAY_API_KEY",
            "DEFAULT_MODEL",
            "MODEL_PREFIX",
        ),
    ):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def decoded(path: Path) -> dict[str, Any]:
    text = path.read_text()
    if path.suffix == ".toml":
        return tomllib.loads(text)
    if path.suffix in {".yaml", ".yml"}:
        return dict(yaml.safe_load(text))
    return jsonc.read(text)


def snapshot(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def holds(whole: Any, part: Any) -> bool:
    """True when everything in `part` is in `whole`, at the same places."""
    if isinstance(part, dict):
        return all(key in whole and holds(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return all(item in whole for item in part)
    return bool(whole == part)


# --- printing ---


def test_without_a_client_there_is_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n{client.name} " in listed for client in CLIENTS)


def test_an_unknown_client_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["connect", "emacs"])
    assert stopped.value.code == 2
    assert "claude-code" in capsys.readouterr().err


@pytest.mark.parametrize("name", [client.name for client in CLIENTS])
def test_printing_says_everything_and_writes_nothing(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["connect", name, *GIVEN]) == 0
    said = capsys.readouterr().out
    assert KEY in said
    assert ROOT_URL in said
    assert snapshot(home) == {}
    if name in FILES:
        assert str(home / FILES[name]) in said
        assert "--write" in said


@pytest.mark.parametrize("name", ["openai-python", "anthropic-python", "langchain"])
def test_the_code_is_python(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["connect", name, *GIVEN])
    said = capsys.readouterr().out
    code = said[min(said.index(word) for word in ("from ", "import ") if word in said) :]
    ast.parse(code.partition("\n\n- ")[0])
    assert MODEL in code


def test_cursor_gets_the_prefixed_name_and_is_told_of_loopback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["connect", "cursor", *GIVEN])
    local = capsys.readouterr().out
    assert f"MYMODEL:{MODEL}" in local
    assert "public https address" in local
    main(["connect", "cursor", "--base-url", "https://gw.example.com", "--api-key", KEY])
    assert "public https address" not in capsys.readouterr().out


# --- writing ---


def test_every_client_with_a_file_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    for client in CLIENTS:
        main(["connect", client.name, *GIVEN])
        assert ("--write" in capsys.readouterr().out) == (client.name in FILES), client.name


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_made_and_says_what_was_printed(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["connect", name, *GIVEN])
    printed = capsys.readouterr().out
    assert main(["connect", name, *GIVEN, "--write"]) == 0
    path = home / FILES[name]
    text = path.read_text()
    assert text in printed
    assert (KEY in text) == (name not in KEY_ELSEWHERE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "was " not in capsys.readouterr().out


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_merged_with_a_backup_and_the_second_run_changes_nothing(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = home / FILES[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(THEIRS[name])
    before = decoded(path)
    assert main(["connect", name, *GIVEN, "--write"]) == 0
    after = decoded(path)
    backups = list(path.parent.glob(f"{path.name}.*.bak"))
    assert [each.read_text() for each in backups] == [THEIRS[name]]
    assert backups[0].name in capsys.readouterr().out

    before.pop("model", None)  # the choice of a model is what the user asked to change
    assert holds(after, before)
    assert MODEL in path.read_text() or name == "claude-code"
    assert "mine" not in THEIRS[name] or "mine" in path.read_text()

    everything = snapshot(home)
    assert main(["connect", name, *GIVEN, "--write"]) == 0
    assert snapshot(home) == everything
    assert "has it all already" in capsys.readouterr().out


@pytest.mark.parametrize("name", FILES)
def test_a_new_key_and_url_replace_the_old_ones(name: str, home: Path) -> None:
    main(["connect", name, *GIVEN, "--write"])
    other = ("--base-url", "https://gw.example.com", "--api-key", "cgw_other")
    assert main(["connect", name, *other, "--write"]) == 0
    text = (home / FILES[name]).read_text()
    assert KEY not in text
    assert ROOT_URL not in text
    assert "https://gw.example.com" in text


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_is_refused(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = home / FILES[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"broken": [\n')
    before = snapshot(home)
    assert main(["connect", name, *GIVEN, "--write"]) == 1
    said = capsys.readouterr()
    assert str(path) in said.err
    assert "nothing was written" in said.err
    assert said.err.count("\n") == 1
    assert KEY not in said.out + said.err
    assert snapshot(home) == before


def test_no_file_is_written_when_a_later_one_cannot_be(home: Path) -> None:
    (home / ".aider.model.metadata.json").write_text("[]")
    assert main(["connect", "aider", *GIVEN, "--write"]) == 1
    assert not (home / ".aider.conf.yml").exists()


@pytest.mark.parametrize("name", sorted({client.name for client in CLIENTS} - set(FILES)))
def test_without_a_file_writing_fails_and_says_what_to_do(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["connect", name, *GIVEN, "--write"]) == 1
    said = capsys.readouterr()
    assert URL in said.out or ROOT_URL in said.out
    assert "by hand" in said.err
    assert snapshot(home) == {}


@pytest.mark.parametrize(
    ("name", "variable", "path"),
    [
        ("codex", "CODEX_HOME", "config.toml"),
        ("claude-code", "CLAUDE_CONFIG_DIR", "settings.json"),
        ("continue", "CONTINUE_GLOBAL_DIR", "config.yaml"),
        ("qwen-code", "QWEN_HOME", "settings.json"),
        ("crush", "CRUSH_GLOBAL_CONFIG", "crush.json"),
        ("opencode", "XDG_CONFIG_HOME", "opencode/opencode.json"),
        ("kilo", "XDG_CONFIG_HOME", "kilo/kilo.json"),
        ("crush", "XDG_CONFIG_HOME", "crush/crush.json"),
        ("zed", "XDG_CONFIG_HOME", "zed/settings.json"),
    ],
)
def test_the_environment_says_where_files_are(
    name: str, variable: str, path: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(home / "else where"))
    assert main(["connect", name, *GIVEN, "--write"]) == 0
    assert list(snapshot(home)) == [f"else where/{path}"]


def test_opencode_may_name_its_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCODE_CONFIG", str(home / "mine.json"))
    assert main(["connect", "opencode", *GIVEN, "--write"]) == 0
    assert list(snapshot(home)) == ["mine.json"]


@pytest.mark.parametrize("name", ["opencode", "kilo"])
def test_a_file_with_comments_that_is_there_is_the_one_to_change(name: str, home: Path) -> None:
    path = (home / FILES[name]).with_suffix(".jsonc")
    path.parent.mkdir(parents=True)
    path.write_text("{} // mine")
    assert main(["connect", name, *GIVEN, "--write"]) == 0
    assert not (home / FILES[name]).exists()
    assert path.read_text().endswith("// mine")


# --- what the programs need to find ---


def config(name: str, home: Path, *more: str) -> dict[str, Any]:
    assert main(["connect", name, *GIVEN, *more, "--write"]) == 0
    return decoded(home / FILES[name])


def test_claude_code_keeps_its_own_models_unless_one_is_named(home: Path) -> None:
    env = config("claude-code", home)["env"]
    assert env["ANTHROPIC_BASE_URL"] == ROOT_URL  # it adds /v1/messages itself
    assert env["ANTHROPIC_AUTH_TOKEN"] == KEY
    assert "ANTHROPIC_MODEL" not in env
    env = config("claude-code", home, "--model", "claude-opus-5-5")["env"]
    assert env["ANTHROPIC_MODEL"] == "claude-opus-5-5"


def test_codex_speaks_responses_and_reads_the_key_from_the_environment(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = config("codex", home)
    assert found["model_provider"] == "coding-gateway"
    assert found["model_providers"]["coding-gateway"] == {
        "name": "Coding Gateway",
        "base_url": URL,
        "env_key": "CODING_GATEWAY_API_KEY",
        "wire_api": "responses",
    }
    assert f"export CODING_GATEWAY_API_KEY={KEY}" in capsys.readouterr().out


def test_limits_are_those_of_the_model(home: Path) -> None:
    found = config("opencode", home, "--model", "claude-sonnet-4-5")
    models = found["provider"]["coding-gateway"]["models"]
    assert models["claude-sonnet-4-5"]["limit"] == {"context": 200_000, "output": 64_000}


def test_a_second_model_comes_beside_the_first(home: Path) -> None:
    config("qwen-code", home)
    found = config("qwen-code", home, "--model", "claude-opus-5-5")
    assert [each["id"] for each in found["modelProviders"]["openai"]] == [MODEL, "claude-opus-5-5"]
    assert found["model"]["name"] == "claude-opus-5-5"


def test_a_key_is_quoted_for_the_shell(capsys: pytest.CaptureFixture[str]) -> None:
    main(["connect", "codex", "--base-url", URL, "--api-key", "a$b'c"])
    assert "export CODING_GATEWAY_API_KEY='a$b'\"'\"'c'" in capsys.readouterr().out


def test_json_files_have_no_comments_of_ours(home: Path) -> None:
    for name, path in FILES.items():
        main(["connect", name, *GIVEN, "--write"])
        if path.endswith(".json"):
            assert wire.loads((home / path).read_bytes())


# --- the document ---


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_the_document_has_a_section_for_every_client(client: Any) -> None:
    assert f"`coding-gateway connect {client.name}`" in DOCUMENT.read_text("utf-8")
