"""The only door to a JSON library: bytes in, plain Python out, and back.

orjson is strict where the outside world is not: it refuses lone surrogates ("\\ud83d"), which
streams that were split inside an emoji do contain. `loads` falls back to the standard library for
those, and `dumps` replaces what UTF-8 cannot carry.
"""

import json  # noqa: TID251 - the door itself
import re
from typing import Any, NamedTuple, TypeAlias

import msgspec
import orjson

from gateway.errors import InvalidRequestError
from gateway.structs import Struct, to_builtins

JSON: TypeAlias = Any
"""Any decoded JSON value."""

JSONObject: TypeAlias = dict[str, Any]
"""A decoded JSON object."""

Fragment = orjson.Fragment
"""Bytes that are already JSON, spliced into a dump as they are."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_NAME = re.compile(rb'[\s{,]*"(?:[^"\\]|\\.)*"\s*:\s*', re.DOTALL)
_MAX_DEPTH = 200  # orjson reads 1024 levels but writes only 254


class JSONDecodeError(ValueError):
    """The bytes are not JSON; the message says where, never what."""


def loads(data: bytes | bytearray | memoryview | str) -> JSON:
    """The value in `data`. Raises JSONDecodeError."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as strict:
        return _loads_leniently(data, strict)


def _loads_leniently(
    data: bytes | bytearray | memoryview | str, strict: orjson.JSONDecodeError
) -> JSON:
    if "surrogate" not in strict.msg and "escape" not in strict.msg:
        raise JSONDecodeError(f"{strict.msg} at byte {strict.pos}") from None
    try:
        return json.loads(data if isinstance(data, str) else bytes(data), parse_constant=_refuse)
    except (ValueError, RecursionError) as lenient:
        raise JSONDecodeError(f"invalid JSON at byte {strict.pos}") from lenient


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def loads_object(data: bytes, what: str = "the request body") -> JSONObject:
    """The JSON object in `data`, for bodies of clients. Raises InvalidRequestError."""
    try:
        value = loads(data)
    except JSONDecodeError as error:
        raise InvalidRequestError(
            f"{what} is not valid JSON: {error}", param="$", code="invalid_json"
        ) from error
    if not isinstance(value, dict):
        raise InvalidRequestError(f"{what} must be a JSON object", param="$", code="invalid_json")
    return value


def loads_strictly(data: bytes) -> JSON:
    """Like `loads`, without its help for what is nearly JSON. Raises JSONDecodeError."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise JSONDecodeError(f"{error.msg} at byte {error.pos}") from None


class Member(NamedTuple):
    """The value of a member of an object, still JSON, and where it stands there."""

    raw: bytes
    start: int


def loads_members(data: bytes) -> dict[str, Member]:
    """The members of the JSON object in `data`, unread. Raises JSONDecodeError.

    Of a value only the syntax is looked at: what is no UTF-8 is found when it is read. Some of what
    `loads` takes is refused: half a surrogate pair, and a name that stands there twice.
    """
    try:
        values = _MEMBERS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JSONDecodeError("not an object") from error
    members: dict[str, Member] = {}
    end = 0
    for name, value in values.items():
        raw, head = bytes(value), _NAME.match(data, end)
        if head is None or not data.startswith(raw, head.end()):
            raise JSONDecodeError("a name stands twice")
        members[name] = Member(raw, head.end())
        end = head.end() + len(raw)
    if values and data[end:].strip() != b"}":
        raise JSONDecodeError("a name stands twice")
    return members


def item_ends(data: bytes) -> list[int]:
    """Where each item of the JSON array in `data` ends, in bytes. Raises JSONDecodeError."""
    ends: list[int] = []
    end = 0
    try:
        for item in _ITEMS.decode(data):
            raw = bytes(item)
            end = data.index(raw, end) + len(raw)  # before it stand only commas and white space
            ends.append(end)
    except (msgspec.DecodeError, RecursionError) as error:
        raise JSONDecodeError("not an array") from error
    return ends


def dumps(value: JSON) -> bytes:
    """Compact UTF-8 JSON of `value`, keys in the order they stand.

    Lone surrogates become U+FFFD and integers beyond 64 bits keep their digits.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_carriable(value))


def dumps_texts(texts: list[str]) -> list[bytes]:
    """`dumps` of each of many texts."""
    try:
        return list(map(orjson.dumps, texts))
    except TypeError:
        return list(map(dumps, texts))


def dumps_struct(value: Struct) -> bytes:
    """Like `dumps`, of a struct: its fields in their order, after its tag where it has one.

    Times are ISO 8601, and decimal numbers texts.
    """
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return dumps(to_builtins(value))


def dumps_sorted(value: JSON) -> bytes:
    """Like `dumps`, with object keys sorted: the same value gives the same bytes."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return orjson.dumps(_carriable(value), option=orjson.OPT_SORT_KEYS)


def dumps_text(value: JSON) -> str:
    """`dumps` as text, for JSON inside JSON such as tool arguments."""
    return dumps(value).decode()


def _carriable(value: JSON, depth: int = 0) -> JSON:
    """`value` with everything that UTF-8 JSON of 64 bits cannot hold made to fit."""
    if depth > _MAX_DEPTH:
        raise InvalidRequestError("the JSON is nested too deeply", param="$")
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {
            _LONE_SURROGATE.sub("\ufffd", str(key)): _carriable(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_carriable(item, depth + 1) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return Fragment(str(value).encode())
    return value
