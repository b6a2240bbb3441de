"""What stores need of authenticated encryption; `gateway.security.sealing` has it."""

from typing import Protocol


class Seals(Protocol):
    """Authenticated encryption, see `gateway.security.sealing`."""

    def seal(self, data: bytes, context: bytes) -> str:
        """`data` sealed for `context`."""

    def open(self, text: str, context: bytes) -> bytes | None:
        """What was sealed for `context`, None for anything else."""


def opened(seals: Seals, value: bytes | None, context: bytes) -> bytes | None:
    """What was sealed for `context` in a value of Valkey; None for no value and anything else."""
    if value is None:
        return None
    return seals.open(value.decode("ascii", "replace"), context)
