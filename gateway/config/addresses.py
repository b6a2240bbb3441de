"""Addresses among the settings, checked when they are read; no message repeats a value."""

from typing import Annotated
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import AfterValidator, SecretStr

from gateway.config.valkey_url import parse_valkey_url

_POSTGRES = {"postgresql", "postgres", "postgresql+asyncpg"}
# What asyncpg and SQLAlchemy take, and what `gateway.storage.database` translates or drops.
_POSTGRES_PARAMETERS = {
    "channel_binding",
    "command_timeout",
    "connection_class",
    "database",
    "direct_tls",
    "dsn",
    "gssencmode",
    "gsslib",
    "host",
    "krbsrvname",
    "loop",
    "max_cacheable_statement_size",
    "max_cached_statement_lifetime",
    "passfile",
    "password",
    "port",
    "prepared_statement_cache_size",
    "prepared_statement_name_func",
    "record_class",
    "server_settings",
    "service",
    "servicefile",
    "ssl",
    "sslmode",
    "statement_cache_size",
    "target_session_attrs",
    "timeout",
    "user",
}
_ENCODE = "percent-encode special characters in the password"


def split_url(url: str) -> SplitResult:
    """The parts of a URL whose host and port can be used; each may be missing.

    Raises ValueError, which may quote the URL.
    """
    parts = urlsplit(url)
    host, _ = parts.hostname or "", parts.port  # the port raises when it is no number
    if not host.isprintable() or " " in host:
        raise ValueError("no host has such a name")
    host.encode("idna")  # what cannot be looked up is found out now, and not by every connect
    return parts


def _with_password(url: str) -> SplitResult:
    """The parts of a URL that may carry a password. Raises ValueError.

    A `/`, `?` or `#` in the password ends the host too early, and the `@` comes after it.
    """
    parts = split_url(url)
    words = [word for word in parts.query.split("&") if "=" not in word]
    if any("@" in text for text in (parts.path, parts.fragment, *words)):
        raise ValueError("a password is cut off")
    return parts


def _is_database_url(url: str) -> bool:
    """Without a host the driver takes that of the query, or its own."""
    try:
        parts = _with_password(url)
    except ValueError:
        return False
    has_server = parts.netloc and not parts.netloc.endswith(":") and parts.netloc.count("@") < 2
    return bool(parts.scheme in _POSTGRES and has_server and not parts.fragment)


def _database_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value().strip()
    if not _is_database_url(url):
        raise ValueError(f"not a PostgreSQL URL; {_ENCODE}")
    parameters = parse_qsl(urlsplit(url).query)
    if not {name for name, _ in parameters} <= _POSTGRES_PARAMETERS:
        raise ValueError("its query has a parameter that the driver does not know")
    if any(name == "port" and not value.replace(",", "").isdecimal() for name, value in parameters):
        raise ValueError("the port in its query is not a number")
    return SecretStr(url)


def _valkey_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value().strip()
    try:
        if urlsplit(url).scheme != "unix":  # a path may have an @
            _with_password(url)
        parse_valkey_url(url)
    except (ValueError, OSError) as error:
        # What we say ourselves begins so; Python's own messages quote the URL.
        is_ours = str(error).startswith("the ")
        raise ValueError(str(error) if is_ours else f"not a usable URL; {_ENCODE}") from None
    return SecretStr(url)


def _host_and_port(value: str) -> str:
    text = value.strip()
    try:
        parts = split_url(f"//{text}")
        usable = parts.hostname and parts.port and parts.netloc == text and "@" not in text
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("not of the form host:port")
    return text


def http_url(value: str) -> str:
    """`value`, which must be a URL of HTTP with a host. Raises ValueError."""
    try:
        usable = value.startswith(("http://", "https://")) and split_url(value).hostname
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in value):
        raise ValueError("not a URL that begins with http:// or https://")
    return value


DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
"""Where PostgreSQL is, in the forms that `gateway.storage.database` takes."""

ValkeyUrl = Annotated[SecretStr, AfterValidator(_valkey_url)]
"""Where Valkey or Redis is."""

HostAndPort = Annotated[str, AfterValidator(_host_and_port)]
"""Where a server is that has no URL; an IPv6 address stands in brackets."""

HttpUrl = Annotated[str, AfterValidator(http_url)]
"""A server that is reached by HTTP."""
