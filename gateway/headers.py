"""HTTP headers as they come off the wire, by name."""

from collections.abc import Iterable
from functools import lru_cache


def headers_by_name(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers by lower-case name; repeated ones are joined as RFC 9110, 5.3 says."""
    given = list(pairs)
    headers = {_name(name): str(value, "latin-1") for name, value in given}
    return headers if len(headers) == len(given) else _joined(given)


def _joined(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = _name(raw_name), str(raw_value, "latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


@lru_cache(maxsize=1024)
def _name(raw: bytes) -> str:
    """Clients send the same names with every request."""
    return raw.decode("latin-1").lower()
