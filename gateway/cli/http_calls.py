"""Plain HTTP to a gateway, with errors that fit on one line."""

import http.client
import ssl
from typing import Any
from urllib.parse import urlsplit

from gateway import wire
from gateway.cli.clients.target import Target
from gateway.errors import GatewayError

_CONNECT_SECONDS = 10.0


class CallError(GatewayError):
    """A call got no answer, or only a part of one; the message is one line."""

    code = "call_failed"

    def __str__(self) -> str:
        line = " ".join(self.message.split())
        return "".join(letter for letter in line if letter.isprintable())


def connection_to(target: Target) -> http.client.HTTPConnection:
    """A connection that is not open yet."""
    parts = urlsplit(target.base_url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            host, parts.port, timeout=_CONNECT_SECONDS, context=context
        )
    return http.client.HTTPConnection(host, parts.port, timeout=_CONNECT_SECONDS)


def connected(connection: http.client.HTTPConnection, target: Target, seconds: float) -> None:
    """Opens it; from then on it may be silent for so long. Raises CallError."""
    try:
        connection.connect()
    except OSError as error:
        raise CallError(
            f"nothing answers at {target.base_url}: {reason_of(error)}; "
            "see `coding-gateway status`, or start `coding-gateway up`"
        ) from error
    connection.sock.settimeout(seconds)


def reason_of(error: Exception) -> str:
    """What went wrong with a connection, in a few words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def refused(response: http.client.HTTPResponse) -> CallError:
    """The error of a status that is not 200, in whose words it comes."""
    content = response.read(1_000_000)
    try:
        message = error_message(wire.loads(content))
    except wire.JSONDecodeError:
        message = None
    return CallError(f"{message or response.reason or 'refused'} ({response.status})")


def error_message(answer: Any) -> str | None:
    """The words of an error body, None when it is none."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        return str(error.get("message") or error.get("code") or "unknown error")
    return str(error) if error else None
