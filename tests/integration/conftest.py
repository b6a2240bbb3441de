"""The real servers of the integration tests: PostgreSQL, Valkey, Temporal, once a session each."""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.durable import EngineAddress
from gateway.stack.binaries import find_postgres, find_temporal, find_valkey
from gateway.storage.database import create_engine
from gateway.storage.migrate import migrate
from gateway.storage.valkey import Valkey
from tests.integration.valkey_server import ValkeyServer
from workflows.connection import connect

START_SECONDS = 60.0
_NOBODY = 65534
_PR_SET_PDEATHSIG = 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


@contextlib.contextmanager
def _serving(argv: list[str], home: Path, user: int | None = None) -> Iterator[int]:
    """Runs a server with its output in a file and kills it at the end: its data is thrown away."""
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            argv,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=home,
            env={"HOME": str(home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - called from the main thread
        )
        try:
            yield process.pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def _until(ready: Callable[[], Awaitable[object]], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            await ready()
        except (OSError, RuntimeError, asyncpg.PostgresError):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not start") from None
            await asyncio.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def servers_home() -> Iterator[Path]:
    """A directory the servers may use, whoever runs them."""
    home = Path(tempfile.mkdtemp(prefix="gateway-servers-"))
    home.chmod(0o711)
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
async def postgres_url(servers_home: Path) -> AsyncIterator[str]:
    """A PostgreSQL server; the URL lacks the name of a database."""
    home = servers_home / "postgres"
    home.mkdir(mode=0o755)
    programs, user = find_postgres(None), None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = _NOBODY
        programs = programs.copied(servers_home)
        os.chown(home, user, user)
    cluster, port = home / "cluster", _free_port()
    await asyncio.to_thread(_make_cluster, programs.directory / "initdb", cluster, user)
    settings = ("fsync=off", "full_page_writes=off", "max_connections=60", "timezone=UTC")
    argv = [str(programs.directory / "postgres"), "-D", str(cluster), "-p", str(port), "-k", ""]
    for setting in (*settings, "listen_addresses=127.0.0.1"):
        argv += ["-c", setting]
    url = f"postgresql://gateway@127.0.0.1:{port}"
    with _serving(argv, home, user):
        await _until(lambda: _execute(url, "select 1"), "PostgreSQL")
        yield url


def _make_cluster(initdb: Path, cluster: Path, user: int | None) -> None:
    # The programs are built without ICU.
    locale = ("--encoding=UTF8", "--locale=C.UTF-8")
    subprocess.run(
        [initdb, "-D", cluster, "-U", "gateway", "--auth=trust", *locale, "--no-sync"],
        check=True,
        capture_output=True,
        user=user,
        group=user,
        cwd=cluster.parent,
    )


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(f"{url}/postgres")
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
async def database_template(postgres_url: str) -> str:
    """The name of a database with the newest schema, to be copied."""
    await _execute(postgres_url, "create database template_gateway")
    await migrate(f"{postgres_url}/template_gateway")
    return "template_gateway"


@pytest.fixture
async def empty_database_url(postgres_url: str) -> AsyncIterator[str]:
    """A database of one test, without a schema."""
    name = f"test_{uuid.uuid4().hex}"
    await _execute(postgres_url, f"create database {name}")
    yield f"{postgres_url}/{name}"
    await _execute(postgres_url, f"drop database {name} with (force)")


@pytest.fixture
async def database_url(postgres_url: str, database_template: str) -> AsyncIterator[str]:
    """A database of one test, with the newest schema."""
    name = f"test_{uuid.uuid4().hex}"
    await _execute(postgres_url, f"create database {name} template {database_template}")
    yield f"{postgres_url}/{name}"
    await _execute(postgres_url, f"drop database {name} with (force)")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the test's database."""
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def valkey_url(servers_home: Path) -> AsyncIterator[str]:
    """A Valkey server without persistence."""
    home = servers_home / "valkey"
    home.mkdir()
    port = _free_port()
    argv = [str(find_valkey()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]

    async def ready() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()

    with _serving([*argv, "--dir", str(home)], home):
        await _until(ready, "Valkey")
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
async def temporal_address(servers_home: Path) -> AsyncIterator[str]:
    """A Temporal dev server that keeps its state in memory."""
    home = servers_home / "temporal"
    home.mkdir()
    address = f"127.0.0.1:{_free_port()}"
    argv = [
        *(str(find_temporal()), "server", "start-dev", "--headless", "--ip", "127.0.0.1"),
        *("--port", address.partition(":")[2], "--http-port", str(_free_port())),
        *("--metrics-port", str(_free_port()), "--log-level", "error"),
    ]
    with _serving(argv, home):
        await _until(lambda: connect(EngineAddress(address)), "Temporal")
        yield address


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A Valkey of the test's own, which it may stop, freeze and start again."""
    with ValkeyServer(tmp_path) as running:
        yield running


@pytest.fixture
async def valkey(server: ValkeyServer) -> AsyncIterator[Valkey]:
    """A client of that server, connected."""
    client = Valkey(server.url)
    await client.start()
    yield client
    await client.close()
