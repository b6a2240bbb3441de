"""HTTP headers as they come off the wire, by name."""

from collections.abc import Iterable
from functools import lru_cache


def headers_by_name(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers by lower-case name; repeated ones are joined as RFC 9110, 5.3 says."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = _name(raw_name), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


@lru_cache(maxsize=1024)
def _name(raw: bytes) -> str:
    """Clients send the same names with every request."""
    return raw.decode("latin-1").lower()
