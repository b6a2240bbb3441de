"""One gateway and one upstream for all clients; a fresh workspace for each."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.programs import Workspace, new_workspace
from tests.contract.harness.gateway import UPSTREAM_KEY, Gateway, gateway_of, start_up
from tests.contract.harness.processes import passable_directory
from tests.contract.harness.simulator import Simulator, running_simulator


@pytest.fixture(scope="session")
def clients_home() -> Iterator[Path]:
    """Where the gateway and all clients keep their files."""
    with passable_directory("gateway-clients-") as home:
        yield home


@pytest.fixture(scope="session")
def upstream() -> Iterator[Simulator]:
    """The upstream process; it refuses what the real API refuses."""
    with running_simulator("--delta-delay", "0", "--api-key", UPSTREAM_KEY) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def gateway(clients_home: Path, upstream: Simulator) -> Iterator[Gateway]:
    """`coding-gateway up` with the upstream's address and key."""
    with start_up(clients_home, upstream.base_url) as up:
        yield gateway_of(up.wait_ready())


@pytest.fixture
def simulator(upstream: Simulator) -> Simulator:
    """The upstream, with nothing recorded and nothing scripted."""
    upstream.forget()
    return upstream


@pytest.fixture(scope="session")
def workspaces(clients_home: Path) -> Callable[[], Workspace]:
    """Makes workspaces, each with a path of its own."""
    numbers = itertools.count(1)
    return lambda: new_workspace(clients_home / f"user-{next(numbers)}")


@pytest.fixture
def workspace(workspaces: Callable[[], Workspace]) -> Workspace:
    """The workspace of one test."""
    return workspaces()
