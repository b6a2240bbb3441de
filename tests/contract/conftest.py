"""One gateway for all contract tests, in front of a simulator it knows nothing of."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import openai
import pytest

from tests.contract.harness.gateway import UPSTREAM_KEY, Gateway, gateway_of, start_up
from tests.contract.harness.processes import passable_directory
from tests.contract.harness.simulator import Simulator, running_simulator


@pytest.fixture(scope="session")
def contract_home() -> Iterator[Path]:
    """Where everything the contract tests run keeps its files."""
    with passable_directory("gateway-contract-") as home:
        yield home


@pytest.fixture(scope="session")
def upstream() -> Iterator[Simulator]:
    """The upstream process: a server that speaks Messages and takes one key only."""
    with running_simulator("--delta-delay", "0", "--api-key", UPSTREAM_KEY) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def gateway(contract_home: Path, upstream: Simulator) -> Iterator[Gateway]:
    """`coding-gateway up` with two API processes and the upstream's address and key."""
    up = start_up(
        contract_home,
        upstream.base_url,
        *("--api-processes", "2"),
        CIRCUIT_BREAKER_THRESHOLD="1000000",
    )
    with up:
        yield gateway_of(up.wait_ready())


@pytest.fixture
def simulator(upstream: Simulator) -> Simulator:
    """The upstream, with nothing recorded and nothing scripted."""
    upstream.forget()
    return upstream


@pytest.fixture(scope="session")
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """The official OpenAI package; it never tries again by itself."""
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.api_key, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
async def async_client(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    """The same, asynchronous."""
    async with openai.AsyncOpenAI(
        base_url=gateway.base_url, api_key=gateway.api_key, max_retries=0
    ) as sdk:
        yield sdk


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx2.Client]:
    """Plain HTTP with the chat key."""
    with gateway.http() as plain:
        yield plain


@pytest.fixture
def admin(gateway: Gateway) -> Iterator[httpx2.Client]:
    """Plain HTTP with the admin key."""
    with gateway.admin() as plain:
        yield plain
