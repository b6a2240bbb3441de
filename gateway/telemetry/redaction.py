"""Takes secrets out of text that leaves the process: log lines and messages."""

import re
from collections.abc import Iterable
from functools import lru_cache

REDACTED = "<redacted>"

_SHORTEST_SECRET_CHARS = 6  # replacing shorter ones would spell them out by their absence
_SHORTEST_TEXT_CHARS = 6
_SHORT_CHARS = 64
_REMEMBERED_TEXTS = 2048

_NAMES = (
    r"(?:api[-_]?key|authorization|passw(?:or)?d|secret|credential"
    r"|(?:access|refresh|auth|session|bearer|id)[-_]token)"
)
_PATTERNS = re.compile(
    "|".join(
        (
            # scheme://user:password@host; up to the last @, as a password may contain one
            r"(?P<url>(?<=://)[^\s/@:\"']*:[^\s\"']+@)",
            r"(?P<scheme>\b(?:bearer\s+[\w.~+/=-]{4,}|basic\s+[A-Za-z0-9+/=]{12,}))",
            # keys by their published prefixes: Anthropic, OpenAI, this gateway, GitHub, AWS, Google
            r"(?P<key>\b(?:sk|pk|rk|cgw?|gw)-[\w-]{8,}|\b(?-i:gh[pousr]_\w{16,})"
            r"|\b(?-i:(?:AKIA|ASIA)[A-Z0-9]{12,})|\b(?-i:AIza[\w-]{20,}))",
            r"(?P<jwt>\b(?-i:eyJ)[\w-]{6,}\.[\w-]+\.[\w-]*)",
            r"(?P<cookie>\bcookie[\\\"']{0,2}\s*[:=]\s*[\\\"']{0,2})[^\r\n\"']+",
            # name=value, name: value, "name": "value", ?key=value
            rf"(?P<name>{_NAMES}[\\\"']{{0,2}}\s*[:=]\s*[\\\"']{{0,2}}"
            r"|[?&](?:key|token|sig|signature)=)"
            r"(?:(?:bearer|basic)\s+)?[^\s\"',;&}<\\]{2,}",
        )
    ),
    re.IGNORECASE,
)
_SECRET_FIELD = re.compile(rf"{_NAMES}|cookie|^token$", re.IGNORECASE)


def redact(text: str) -> str:
    """`text` with everything that looks like a credential replaced."""
    if len(text) < _SHORTEST_TEXT_CHARS:
        return text
    return _PATTERNS.sub(_replacement, text)


@lru_cache(maxsize=_REMEMBERED_TEXTS)
def is_secret_field(name: str) -> bool:
    """True when a field of that name holds a credential, whatever its value looks like."""
    return _SECRET_FIELD.search(name) is not None


class Redactor:
    """`redact`, and besides every secret of this process's own settings, wherever it stands."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET_CHARS}
        # The longest first: one secret may begin with another.
        ordered = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        # Names of models, projects and events come again and again; the search costs 3 us each.
        self._short = lru_cache(maxsize=_REMEMBERED_TEXTS)(self._without_secrets)

    def __call__(self, text: str) -> str:
        """`text` without secrets."""
        return self._short(text) if len(text) <= _SHORT_CHARS else self._without_secrets(text)

    def _without_secrets(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        return redact(text)


def _replacement(match: re.Match[str]) -> str:
    if match["url"]:
        return f"{REDACTED}@"
    if match["scheme"]:
        return f"{match['scheme'].split(maxsplit=1)[0]} {REDACTED}"
    label = match["name"] or match["cookie"]
    if label:
        return label + REDACTED
    return REDACTED
