"""Typed reading of client bodies: every refusal names the JSON path of the value."""

import re
from collections.abc import Iterable

from gateway.errors import InvalidRequestError, UnsupportedValueError
from gateway.wire import JSON, JSONObject

SYSTEM_ROLES = ("system", "developer")
"""Roles of OpenAI's whose messages are system text."""

_SHOWN_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}").fullmatch
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]").search
_NOT_PRINTABLE_ASCII = re.compile(r"[^\x20-\x7e]+")
_JSON_TYPES = {
    bool: "a boolean",
    dict: "an object",
    float: "a number",
    int: "an integer",
    list: "an array",
    str: "a string",
    type(None): "null",
}


def wrong_type(param: str, expected: str, value: JSON) -> InvalidRequestError:
    """The error for a value of the wrong JSON type; says which one it is, never the value."""
    found = _JSON_TYPES.get(type(value), "something else")
    return InvalidRequestError(
        f"{param} must be {expected}, not {found}", param=param, code="invalid_type"
    )


def missing(param: str) -> InvalidRequestError:
    """The error for a required value that is not there."""
    return InvalidRequestError(
        f"{param} is required", param=param, code="missing_required_parameter"
    )


def invalid(param: str, message: str, code: str | None = None) -> InvalidRequestError:
    """The error for a value of the right type that makes no sense; `message` follows the path."""
    return InvalidRequestError(f"{param} {message}", param=param, code=code)


def unsupported(param: str, message: str, code: str | None = None) -> UnsupportedValueError:
    """The error for a value that is legal at OpenAI and would lose its meaning here."""
    return UnsupportedValueError(f"{param} {message}", param=param, code=code)


def storable(text: str, param: str) -> str:
    """`text`, which is to be stored as it is. PostgreSQL's texts have neither of these."""
    if _UNSTORABLE(text):
        raise invalid(param, "holds NUL or half of a surrogate pair")
    return text


def optional_bool(value: JSON, param: str) -> bool | None:
    """The boolean, or None for null."""
    if value is None or isinstance(value, bool):
        return value
    raise wrong_type(param, "a boolean", value)


def optional_string(value: JSON, param: str) -> str | None:
    """The string, or None for null."""
    if value is None or isinstance(value, str):
        return value
    raise wrong_type(param, "a string", value)


def optional_number(value: JSON, param: str) -> float | None:
    """The number, or None for null."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type(param, "a number", value)
    return value


def optional_count(value: JSON, param: str) -> int | None:
    """A whole number of at least 1, or None for null; 8.0 counts as 8."""
    number = optional_number(value, param)
    if number is None:
        return None
    if number % 1:
        raise wrong_type(param, "an integer", value)
    if number < 1:
        raise invalid(param, "must be at least 1")
    return int(number)


def optional_object(value: JSON, param: str) -> JSONObject:
    """The object; an empty one for null."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise wrong_type(param, "an object", value)


def optional_list(value: JSON, param: str) -> list[JSON]:
    """The array; an empty one for null."""
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise wrong_type(param, "an array", value)


def header_text(text: str) -> str:
    """`text` as it may stand in a response header: printable ASCII, at most 200 characters."""
    return _NOT_PRINTABLE_ASCII.sub("?", text)[:200]


def shown_names(names: Iterable[str], limit: int = 24) -> list[str]:
    """Field names of a client as they may stand in a header: each once, odd ones as "other"."""
    shown = dict.fromkeys(name if _SHOWN_NAME(name) else "other" for name in names)
    return list(shown)[:limit]
