"""HTTP headers as they come off the wire, by name."""

from collections.abc import Iterable

_KNOWN_NAMES = 1024


class _Names(dict[bytes, str]):
    """Names as they are known by: in lower case. Clients send the same ones with every request."""

    def __missing__(self, raw: bytes) -> str:
        name = raw.decode("latin-1").lower()
        if len(self) < _KNOWN_NAMES:
            self[raw] = name
        return name


_NAMES = _Names()


def headers_by_name(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers by lower-case name; repeated ones are joined as RFC 9110, 5.3 says."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = _NAMES[raw_name], raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
