"""A minute of load; `make soak` takes ten."""

import pytest

from tests.faults.soak import soak
from tests.faults.stack import Stack


@pytest.mark.timeout(150)
async def test_nothing_grows_under_load(stack: Stack) -> None:
    soaked = await soak(stack, 60.0)
    assert soaked.wrong() == [], soaked
