"""The import contracts hold, and each of them fails when its rule is broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("api", "workflows", "activities", "gateway", "simulator", "pyproject.toml")

WRONG_IMPORTS = {
    "top-level": ("gateway/wire.py", "import api.app"),
    "api-starts-workflows-by-name": ("api/deps.py", "import workflows.usage_rollup"),
    "api-knows-workflows-client": ("api/deps.py", "import workflows.schedules"),
    "client-imports-no-workflow": ("workflows/client.py", "import workflows.usage_rollup"),
    "workflows-are-deterministic": ("workflows/usage_rollup.py", "import gateway.services"),
    "nothing-imports-simulator": ("gateway/services/running.py", "import simulator.models"),
    "simulator-alone": ("simulator/models.py", "import api.app"),
    "gateway-layers": ("gateway/catalog/models.py", "import gateway.pipeline.live"),
    "protocols-are-siblings": (
        "gateway/protocols/openai_chat.py",
        "import gateway.protocols.openai_chat_stream",
    ),
    "door-anthropic": ("gateway/pipeline/live.py", "import anthropic"),
    "door-storage": ("gateway/projects.py", "import sqlalchemy"),
    "door-json": ("api/errors.py", "import orjson"),
    "no-temporal-in-gateway": ("gateway/services/running.py", "import temporalio.client"),
}


def _lint(folder: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    for contract in contracts:
        command += ["--contract", contract]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _copy(folder: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def test_all_contracts_are_kept() -> None:
    result = _lint(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("contract", sorted(WRONG_IMPORTS))
def test_a_wrong_import_breaks_its_contract(contract: str, tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    path, wrong = WRONG_IMPORTS[contract]
    module = folder / path
    module.write_text(module.read_text("utf-8") + f"\n{wrong}\n", "utf-8")
    result = _lint(folder, contract)
    assert result.returncode == 1, result.stdout
    assert "BROKEN" in result.stdout
