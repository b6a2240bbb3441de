"""Rules on the shape of the code that neither the linter nor the import contracts can see."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("api", "workflows", "activities", "gateway", "simulator", "bench")
SOURCES = [
    *(path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))),
    ROOT / "worker.py",
]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=_relative)
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_no_function_is_longer_than_60_lines(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    long = [
        f"{node.name}:{node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > 60
    ]
    assert long == []


def test_worker_is_wiring_only() -> None:
    text = (ROOT / "worker.py").read_text("utf-8")
    assert len(text.splitlines()) < 100
    allowed = re.compile(r"^(activities|gateway|workflows)(\.|$)")
    ours = {"activities", "api", "bench", "gateway", "simulator", "workflows"}
    for module in _imports(text):
        if module.split(".")[0] in ours:
            assert allowed.match(module), module


def test_cli_imports_no_worker_and_no_api() -> None:
    paths = [path for path in SOURCES if "gateway/cli" in path.as_posix()]
    assert paths
    for path in paths:
        roots = {module.split(".")[0] for module in _imports(path.read_text("utf-8"))}
        assert not roots & {"worker", "api", "workflows", "activities"}, path


def test_only_config_reads_the_environment() -> None:
    reading = [
        _relative(path)
        for path in SOURCES
        if _reads_environment(path) and not _relative(path).startswith(("simulator/", "bench/"))
    ]
    assert reading == ["gateway/config/settings.py"]


def _reads_environment(path: Path) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in ("environ", "getenv")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
    )


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_nothing_is_left_for_later_in_the_code(path: Path) -> None:
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", path.read_text("utf-8"))


def test_the_api_process_loads_nothing_heavy() -> None:
    """The API stays small: what only workers and activities need is not imported by it."""
    heavy = ["anthropic", "temporalio.worker", "alembic", "tiktoken", "simulator", "activities"]
    program = f"import sys, api.app; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def _imports(text: str) -> list[str]:
    modules: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.append(node.module)
    return modules
