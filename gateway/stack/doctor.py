"""`coding-gateway doctor`: checks each part and says how to mend it."""

import importlib.util
import os
import platform
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Settings
from gateway.errors import GatewayError
from gateway.stack import binaries, probes, run_as, run_state, status
from gateway.stack.data_directory import DataDirectory
from gateway.stack.errors import StackError
from gateway.stack.plan import needs_simulator
from gateway.stack.ports import API_PORT, is_free, listener
from gateway.stack.postgres import cluster_home

_NEEDED_BYTES = 1_000_000_000  # a fresh stack takes 50 MB; logs and the database grow


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `grade` is "ok", "warn" (works, but look at it) or "fail"."""

    name: str
    grade: str
    found: str
    mend: str = ""


DatabaseCheck = Callable[[str], Awaitable[tuple[str, bool]]]
"""Connects to a DATABASE_URL and says what it found there and whether that has a schema; raises
GatewayError."""


async def examine(
    data: DataDirectory, settings: Settings, port: int, check_database: DatabaseCheck
) -> list[Check]:
    """Every check, in the order of a start. Changes nothing."""
    checks = [_python(), _programs(), *_storage(data), _user(data), _keys(data)]
    checks.append(await _database(data, settings, check_database))
    checks.append(await _cache(settings))
    checks.append(await _durable_engine(settings))
    checks += [_upstream(settings), _port(data, port)]
    checks += await _running(data)
    return checks


def _python() -> Check:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check("python", "ok", found)


def _programs() -> Check:
    missing = [name for name in ("api", "worker", "simulator") if not _importable(name)]
    if missing:
        found = f"not importable: {', '.join(missing)}"
        return Check("programs", "fail", found, "reinstall: `make install`")
    return Check("programs", "ok", "api, worker, simulator")


def _importable(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _storage(data: DataDirectory) -> list[Check]:
    existing = next(path for path in (data.root, *data.root.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        mend = f"give this user the right to write {existing}, or set DATA_DIR / --data-dir"
        return [Check("data directory", "fail", f"{existing} is not writable", mend)]
    checks = [Check("data directory", "ok", str(data.root))]
    free = shutil.disk_usage(existing).free
    found = f"{free / 1e9:.1f} GB free"
    if free < _NEEDED_BYTES:
        checks.append(Check("disk space", "warn", found, f"make room on the disk of {existing}"))
    else:
        checks.append(Check("disk space", "ok", found))
    return checks


def _user(data: DataDirectory) -> Check:
    try:
        user = run_as.choose(cluster_home(data) / "data")
    except (StackError, OSError) as error:
        return Check("user", "fail", str(error))
    if user is None:
        return Check("user", "ok", "ordinary user; everything runs as this user")
    return Check("user", "ok", f"root; PostgreSQL runs as {user.name}")


def _keys(data: DataDirectory) -> Check:
    if not data.keys.is_dir():
        return Check("keys", "ok", "none yet; the first `up` makes them")
    try:
        files = [path for path in data.keys.iterdir() if path.is_file()]
        wide = [path.name for path in files if path.stat().st_mode & 0o077]
    except PermissionError:
        mend = "run as the user who started the stack"
        return Check("keys", "fail", f"{data.keys} is not readable", mend)
    if wide:
        found = f"others can read: {', '.join(wide)}"
        return Check("keys", "warn", found, f"chmod 600 {data.keys}/*")
    return Check("keys", "ok", f"{len(files)} in {data.keys}")


async def _database(data: DataDirectory, settings: Settings, check: DatabaseCheck) -> Check:
    if settings.database_url is not None:
        return await _external_database(settings.database_url.get_secret_value(), check)
    version_file = cluster_home(data) / "data" / "PG_VERSION"
    try:
        major = version_file.read_text(encoding="ascii").strip() if version_file.exists() else None
    except PermissionError:
        major = None
    try:
        programs = binaries.find_postgres(major)
    except StackError as error:
        return Check("postgres", "fail", error.message, error.mend)
    found = f"{programs.version} with pgvector, {programs.directory} ({programs.source})"
    return Check("postgres", "ok", found)


async def _external_database(url: str, check: DatabaseCheck) -> Check:
    try:
        found, has_schema = await check(url)
    except GatewayError as error:
        mend = "check DATABASE_URL, and that the server runs and has pgvector"
        return Check("postgres", "fail", f"DATABASE_URL: {error.message}", mend)
    if not has_schema:
        mend = "run `coding-gateway migrate`; `coding-gateway up` does so by itself"
        return Check("postgres", "warn", f"{found}, no schema yet", mend)
    return Check("postgres", "ok", found)


async def _cache(settings: Settings) -> Check:
    if settings.redis_url is not None:
        host, port = probes.address_of(settings.redis_url.get_secret_value())
        return _external("valkey", "REDIS_URL", await probes.listens(host, port), host, port)
    return _program("valkey", binaries.find_valkey)


async def _durable_engine(settings: Settings) -> Check:
    if settings.temporal_address:
        host, port = probes.address_of(settings.temporal_address)
        problem = await probes.listens(host, port)
        return _external("temporal", "TEMPORAL_ADDRESS", problem, host, port)
    return _program("temporal", binaries.find_temporal)


def _external(name: str, variable: str, problem: str | None, host: str, port: int) -> Check:
    if problem:
        mend = f"start it, correct {variable}, or unset it for an embedded one"
        return Check(name, "fail", f"{variable}: {host}:{port}: {problem}", mend)
    return Check(name, "ok", f"{variable}: {host}:{port} accepts connections")


def _program(name: str, find: Callable[[], Path]) -> Check:
    try:
        program = find()
    except StackError as error:
        return Check(name, "fail", error.message, error.mend)
    version = binaries.version_of(program)
    if not version:
        return Check(name, "fail", f"{program} does not run", "reinstall: `make install`")
    return Check(name, "ok", f"{version}, {program}")


def _upstream(settings: Settings) -> Check:
    if needs_simulator(settings):
        mend = "set ANTHROPIC_API_KEY in the environment or in .env"
        return Check("upstream", "warn", "no key: the simulator answers, not Claude", mend)
    if settings.upstreams is not None:
        return Check("upstream", "ok", "UPSTREAMS is set (not tried: that would cost)")
    key = "key set" if settings.anthropic_api_key else "no key"
    host, port = probes.address_of(settings.anthropic_base_url)
    return Check("upstream", "ok", f"{host}:{port}, {key} (not tried: that would cost)")


def _port(data: DataDirectory, port: int) -> Check:
    if is_free(port):
        return Check("port", "ok", f"{port} is free")
    state = run_state.read(data.state_file)
    if state is not None and state.supervisor.is_alive() and f":{port}/" in state.base_url:
        return Check("port", "ok", f"{port} is ours")
    mend = f"end that program, or start with --port {port + 1}"
    return Check("port", "fail", f"{port} is taken by {listener(port)}", mend)


async def _running(data: DataDirectory) -> list[Check]:
    state = run_state.read(data.state_file)
    left = status.leftovers(state)
    if left:
        found = f"left by a killed supervisor: {', '.join(part.name for part in left)}"
        return [Check("stack", "warn", found, "the next `coding-gateway up` clears them")]
    if state is None or not state.supervisor.is_alive():
        return [Check("stack", "ok", "not running")]
    now = await status.read_status(data)
    bad = [part for part in now.parts if part.problem]
    checks = [
        Check(part.name, "fail", str(part.problem), f"see {data.logs}/{part.name}.log")
        for part in bad
    ]
    checks.append(Check("stack", "ok", f"runs at {now.base_url}"))
    return checks


def default_port(data: DataDirectory) -> int:
    """The port of the stack that runs there, else the default one."""
    state = run_state.read(data.state_file)
    if state is not None and state.supervisor.is_alive():
        return probes.address_of(state.base_url)[1]
    return API_PORT
