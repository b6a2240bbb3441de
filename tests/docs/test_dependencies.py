"""Every direct dependency is justified, and the lock names no package index."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
DOCUMENT = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def _names(requirements: list[object]) -> list[str]:
    return [re.split(r"[\[<>=;~ ]", text)[0] for text in requirements if isinstance(text, str)]


DIRECT = (
    _names(PROJECT["project"]["dependencies"])
    + _names(PROJECT["project"]["optional-dependencies"]["stack"])
    + _names(PROJECT["dependency-groups"]["dev"])
    + _names(PROJECT["dependency-groups"]["build"])
)


@pytest.mark.parametrize("name", DIRECT)
def test_every_direct_dependency_is_justified(name: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", DOCUMENT)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_locks_hold_names_versions_and_hashes_only(lock: Path) -> None:
    text = lock.read_text("utf-8")
    assert "://" not in text
    assert "--index-url" not in text
    pinned = re.findall(r"^([a-z0-9][\w.-]*)==", text, re.MULTILINE)
    assert pinned
    assert text.count("--hash=sha256:") >= len(pinned)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_locks_agree_with_each_other(lock: Path) -> None:
    whole = dict(_pins(ROOT / "requirements" / "dev.txt"))
    for name, version in _pins(lock):
        assert whole[name] == version


def _pins(lock: Path) -> list[tuple[str, str]]:
    return re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", lock.read_text("utf-8"), re.MULTILINE)
