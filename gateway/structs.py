"""The values a process works with: slotted, frozen where they are not meant to change, made in C.

A request makes some forty of them. Made by a frozen dataclass each costs eight times as much, and
each such class five times the memory. What Temporal carries stays a dataclass, see
`gateway.durable`: its converter reads those.
"""

from typing import TypeVar

from msgspec import DecodeError, Struct, field, msgpack, to_builtins
from msgspec.structs import asdict, replace

__all__ = ["Struct", "asdict", "field", "pack", "replace", "to_builtins", "unpack"]

_Kind = TypeVar("_Kind", bound=Struct)


def pack(value: Struct) -> bytes:
    """The value as MessagePack, for a store of the gateway's own."""
    return msgpack.encode(value)


def unpack(data: bytes, kind: type[_Kind]) -> _Kind:
    """What `pack` made of a value of that kind. Raises ValueError for anything else."""
    try:
        return msgpack.decode(data, type=kind)
    except DecodeError as error:
        raise ValueError("these bytes are none of that kind") from error
