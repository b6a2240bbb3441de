"""One stack for all faults."""

from collections.abc import Iterator

import pytest

from tests.contract.harness.processes import passable_directory
from tests.faults.stack import Stack, running_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with passable_directory("gateway-faults-") as home, running_stack(home) as stack:
        yield stack
