"""What all unit tests share."""

import pytest
from hypothesis import find
from hypothesis import strategies as st


@pytest.fixture(scope="session", autouse=True)
def unicode_tables() -> None:
    """In a new tree the first random text has Hypothesis build its tables of Unicode, which takes
    a second: no test's own time, and long enough to fail one by its health check.
    """
    find(st.text(min_size=1), lambda _: True)
