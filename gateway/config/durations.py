"""Lengths of time among the settings."""

from typing import Annotated

from pydantic import Field

Seconds = Annotated[float, Field(le=1e9)]  # 31 years; timers overflow somewhere beyond
"""A time in seconds, fractions allowed; a field with an `le` of its own is a plain float."""
