"""From REDIS_URL to the address, credentials and TLS context of a server."""

import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

_DEFAULT_PORT = 6379
_PLAIN = {"redis", "valkey"}
_TLS = {"rediss", "valkeys"}


@dataclass(frozen=True, slots=True)
class ValkeyAddress:
    """Where the server is and how to log in; `path` is a Unix socket, used instead of host."""

    host: str = "127.0.0.1"
    port: int = _DEFAULT_PORT
    path: str | None = None
    database: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None

    @property
    def label(self) -> str:
        """The address without credentials, for log lines."""
        return self.path or f"{self.host}:{self.port}"


def parse_valkey_url(url: str) -> ValkeyAddress:
    """The address in `redis://[user][:password]@host:port/db`, `rediss://` or `unix:///path`.

    `ssl_cert_reqs=none` and `ssl_ca_certs=<file>` are read as redis-py does, since hosted servers
    hand out such URLs. Raises ValueError, and OSError for a file that cannot be read; `ValkeyUrl`
    of the settings has found both out when the process started.
    """
    parts = urlsplit(url.strip())
    options = parse_qs(parts.query)
    if parts.scheme == "unix":
        return _unix_address(parts, options)
    if parts.scheme not in _PLAIN | _TLS:
        raise ValueError("the scheme must be redis, rediss, valkey, valkeys or unix")
    return ValkeyAddress(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or _DEFAULT_PORT,
        database=_database(parts.path.strip("/") or options.get("db", ["0"])[0]),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=_tls_context(options) if parts.scheme in _TLS else None,
    )


def _unix_address(parts: SplitResult, options: dict[str, list[str]]) -> ValkeyAddress:
    if not parts.path:
        raise ValueError("the path of the socket is missing")
    return ValkeyAddress(
        path=unquote(parts.path),
        database=_database(options.get("db", ["0"])[0]),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def _database(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("the database must be a number")
    return int(text)


def _tls_context(options: dict[str, list[str]]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs", [None])[0])
    if options.get("ssl_cert_reqs", ["required"])[0] == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
