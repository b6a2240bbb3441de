"""The API key of a request, and the form in which keys are kept and compared."""

import hashlib
import hmac
import re
from collections.abc import Mapping

from gateway.config.header_texts import LONGEST_KEY_CHARS
from gateway.errors import AuthenticationError

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def read_key(headers: Mapping[str, str]) -> str:
    """The key a request carries; header names in lower case. Raises AuthenticationError.

    The first that is not empty of `X-API-Key` (Anthropic clients), `api-key` (Azure clients) and
    `Authorization: Bearer` (OpenAI clients). Keys in the query string would end up in access logs
    and are never read.
    """
    key = (
        headers.get("x-api-key", "").strip()
        or headers.get("api-key", "").strip()
        or _bearer(headers.get("authorization", ""))
    )
    if not key:
        raise AuthenticationError(
            "No API key was sent. Put it into Authorization: Bearer, X-API-Key or api-key.",
            code="missing_api_key",
        )
    if len(key) > LONGEST_KEY_CHARS or _CONTROL.search(key):
        raise AuthenticationError("The API key is malformed.")
    return key


def hash_key(key: str) -> str:
    """SHA-256 of a key in hexadecimal, the only form in which keys are kept.

    Keys are random, so a fast digest is enough: there is nothing to guess them from.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def same_secret(given: str, expected: str) -> bool:
    """True when both are equal; takes the same time wherever they differ and however long."""
    return hmac.compare_digest(hash_key(given), hash_key(expected))


def _bearer(value: str) -> str:
    scheme, _, credentials = value.strip().partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""
