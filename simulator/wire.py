"""JSON and digests: the only module of the simulator that knows a JSON library.

`Json` names a decoded JSON object. Digests are blake2b of 16 bytes; they identify content inside
one process and in signatures, and are not meant to protect anything by themselves.
"""

import secrets
from hashlib import blake2b
from typing import Any

import orjson

Json = dict[str, Any]
JsonValue = Any
JsonError = orjson.JSONDecodeError

DIGEST_BYTES = 16

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ID_LENGTH = 22  # the length of the random part of the API's own ids


def loads(data: bytes | str) -> JsonValue:
    """The decoded JSON value; raises `JsonError`."""
    return orjson.loads(data)


def dumps(value: JsonValue) -> bytes:
    """Compact JSON with the key order kept."""
    return orjson.dumps(value)


def dumps_text(value: JsonValue) -> str:
    """Compact JSON as text."""
    return orjson.dumps(value).decode()


def digest(*parts: bytes) -> bytes:
    """One digest over parts, each framed by its length so that borders count."""
    state = blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def new_id(prefix: str) -> str:
    """A fresh id such as `msg_01...`, `toolu_01...`, `req_01...`."""
    return prefix + "01" + "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
