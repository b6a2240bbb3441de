"""Fixtures of the tests that run batches."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.client import Client

from gateway.durable import EngineAddress
from tests.contract.harness.simulator import Simulator, running_simulator
from tests.integration.batches.worker import BatchWorker
from tests.integration.valkey_server import ValkeyServer
from workflows.client import TemporalEngine
from workflows.connection import connect


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with running_simulator("--delta-delay", "0") as simulator:
        yield simulator


@pytest.fixture
async def client(temporal_address: str) -> Client:
    return await connect(EngineAddress(temporal_address))


@pytest.fixture
async def durable(temporal_address: str) -> AsyncIterator[TemporalEngine]:
    engine = TemporalEngine(EngineAddress(temporal_address))
    await engine.ensure_schedules()
    yield engine
    await engine.close()


@pytest.fixture
def environment(
    temporal_address: str,
    database_url: str,
    valkey_url: str,
    simulator: Simulator,
    tmp_path: Path,
) -> dict[str, str]:
    """What a worker needs to know."""
    return {
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": temporal_address,
        "REDIS_URL": valkey_url,
        "ENCRYPTION_KEYS": "a key that is used in tests only",
        "ANTHROPIC_BASE_URL": simulator.base_url,
        "UPSTREAM_IS_SIMULATOR": "1",
        "DATA_DIR": str(tmp_path / "data"),
        "RATE_LIMIT_ENABLED": "0",
        "CIRCUIT_BREAKER_ENABLED": "0",
        "GATEWAY_API_KEY": "a key of the tests",
        "WEBHOOK_SECRET": "a secret of webhooks",
        "WEBHOOK_ALLOW_PRIVATE": "1",
    }


@pytest.fixture
async def worker(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[BatchWorker]:
    """A worker that is not started yet."""
    worker = BatchWorker(tmp_path, **environment)
    yield worker
    worker.kill()


@pytest.fixture
async def limited_worker(
    environment: dict[str, str], server: ValkeyServer, tmp_path: Path
) -> AsyncIterator[BatchWorker]:
    """A worker whose projects may make 40 requests a minute; nobody else has made any."""
    limits = {"RATE_LIMIT_ENABLED": "1", "RATE_LIMIT_RPM": "40", "REDIS_URL": server.url}
    worker = BatchWorker(tmp_path, **{**environment, **limits})
    yield worker
    worker.kill()
