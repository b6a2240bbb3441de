"""A database nobody has migrated: it is told, and the image's command migrates it."""

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import yaml

from gateway.config import Settings
from gateway.errors import InternalError
from gateway.stack.doctor import Check, examine
from gateway.stack.plan import data_directory
from gateway.storage.database import create_engine, state_of
from gateway.storage.migrate import migrate, newest_revision
from gateway.storage.server_check import describe_server
from tests.contract.harness.processes import dies_with_us, end, free_port, until
from tests.integration.stack_command import COMMAND, environment, run

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).resolve().parents[2]
NOBODY_THERE = "postgresql://gateway@127.0.0.1:1/none"
ADMIN = {"authorization": "Bearer cgw_admin"}


@dataclass(frozen=True)
class Api:
    """A running API."""

    url: str
    log: Path
    process: "subprocess.Popen[bytes]"

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(self.url + path, headers=ADMIN, timeout=10)

    def serves(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(httpx2.TransportError):
            return self.get("/health/ready").status_code == 200
        return False

    def postgres(self) -> Any:
        return self.get("/health").json()["parts"]["postgres"]


@contextlib.contextmanager
def serving(
    home: Path, database_url: str, command: tuple[str, ...] | None = None, **extra: str
) -> Iterator[Api]:
    """The API alone on that database, or another command that serves it at PORT."""
    port, log = free_port(), home / "api.log"
    settings = {
        "DATABASE_URL": database_url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "TEMPORAL_ADDRESS": "127.0.0.1:1",
        "ANTHROPIC_API_KEY": "sk-ant-none",
        "GATEWAY_API_KEY": "cgw_key",
        "ADMIN_API_KEY": "cgw_admin",
        "ENCRYPTION_KEYS": "k" * 40,
        "DATA_DIR": str(home / "data"),
        "PORT": str(port),
        **extra,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*dies_with_us(), *(command or (*COMMAND, "api", "--port", str(port)))],
            cwd=home,
            env=environment(**settings),
            stdout=output,
            stderr=output,
        )
    api = Api(f"http://127.0.0.1:{port}", log, process)
    try:
        until(api.serves, "the API serves", 60)
        yield api
    finally:
        end(process)


def image_command(home: Path) -> tuple[str, ...]:
    """What the image runs, with this checkout's `coding-gateway` in its path."""
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    (command,) = [line.removeprefix("CMD ") for line in lines if line.startswith("CMD ")]
    program = home / "bin" / "coding-gateway"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    return tuple(yaml.safe_load(command))


def path_of(home: Path) -> str:
    return f"{home / 'bin'}:/usr/local/bin:/usr/bin:/bin"


def test_an_api_on_an_empty_database_says_that_it_lacks_the_schema(
    tmp_path: Path, empty_database_url: str
) -> None:
    with serving(tmp_path, empty_database_url) as api:
        health = api.get("/health").json()
        assert (health["status"], health["parts"]["postgres"]) == ("degraded", "schema missing")
        refused = api.get("/admin/usage")
        assert refused.status_code == 503
        assert "run `coding-gateway migrate`" in refused.json()["error"]["message"]
        said = "the database has no schema, or an old one: run `coding-gateway migrate`"
        until(lambda: f'"event":"{said}"' in api.log.read_text(), "the log says it")
        asyncio.run(migrate(empty_database_url))
        assert api.postgres() == "ok"
        assert api.get("/admin/usage").status_code == 200
        assert api.log.read_text().count(f'"event":"{said}"') == 1


def test_the_command_of_the_image_migrates_and_serves(
    tmp_path: Path, empty_database_url: str
) -> None:
    command = image_command(tmp_path)
    with serving(tmp_path, empty_database_url, command, PATH=path_of(tmp_path)) as api:
        assert api.postgres() == "ok"
        assert api.get("/admin/usage").status_code == 200
        # The shell is gone: what stops the container reaches the API itself.
        assert "api.server" in psutil.Process(api.process.pid).cmdline()
    assert f"revision {newest_revision()}" in api.log.read_text()


def test_migrate_tells_a_database_that_is_away_from_a_migration_that_failed(
    tmp_path: Path, empty_database_url: str
) -> None:
    asked = ("migrate", "--wait", "0")
    away = run(*asked, cwd=tmp_path, DATABASE_URL=NOBODY_THERE)
    assert (away.returncode, away.stderr.count("\n")) == (75, 1)
    assert "the database does not answer" in away.stderr
    asyncio.run(_claim_revision(empty_database_url, "0009"))
    failed = run(*asked, cwd=tmp_path, DATABASE_URL=empty_database_url)
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert "not what its revision says" in failed.stderr


async def test_a_migration_without_its_tables_is_a_fault_and_not_waited_for(
    empty_database_url: str,
) -> None:
    await _claim_revision(empty_database_url, "0009")
    with pytest.raises(InternalError):
        await migrate(empty_database_url, wait_seconds=60)


async def _claim_revision(database_url: str, revision: str) -> None:
    """Make a database that says it has a schema and has none."""
    engine = create_engine(database_url)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("create table alembic_version (version_num varchar(32))")
        await connection.exec_driver_sql(f"insert into alembic_version values ('{revision}')")
    await engine.dispose()


async def test_the_state_of_a_database_is_told(empty_database_url: str) -> None:
    engine, nobody = create_engine(empty_database_url), create_engine(NOBODY_THERE)
    assert await state_of(engine) == "schema missing"
    await migrate(empty_database_url)
    assert await state_of(engine) == "ok"
    assert await state_of(nobody) == "down"
    await engine.dispose()
    await nobody.dispose()


async def test_doctor_says_how_to_make_the_schema(tmp_path: Path, empty_database_url: str) -> None:
    settings = Settings(_env_file=None, database_url=empty_database_url)

    async def postgres() -> Check:
        data = data_directory(tmp_path / "data", settings)
        checks = await examine(data, settings, 1, describe_server)
        return next(check for check in checks if check.name == "postgres")

    before = await postgres()
    assert (before.grade, "no schema yet" in before.found) == ("warn", True)
    assert "coding-gateway migrate" in before.mend
    await migrate(empty_database_url)
    after = await postgres()
    assert (after.grade, after.mend) == ("ok", "")
    assert after.found.startswith("PostgreSQL ")
