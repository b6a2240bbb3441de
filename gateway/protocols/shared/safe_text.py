"""Error texts from upstream, made fit for the client: no key, no organisation, no address.

Texts are otherwise kept word for word: clients recognise them (`prompt is too long`).
"""

import re

MAX_CHARS = 4000  # the longest texts of the API list a few dozen ids

_HIDDEN = "[redacted]"

_PUBLIC_PAGES = (
    r"(?:docs|support|www|console|platform|status)\.(?:anthropic|claude)\.com"
    r"(?=[/\s\"'`)\]},;]|\.(?:\s|$)|$)"
)
# Repetitions that can begin anywhere are bounded: hostile text costs no more than its length.
_PRIVATE = re.compile(
    "|".join(
        (
            rf"\b[a-z][a-z0-9+.-]{{1,20}}://(?!{_PUBLIC_PAGES})[^\s\"'<>`]+",  # addresses
            r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b",
            r"\b(?:localhost|(?:[a-z0-9-]{1,63}\.){1,8}(?:internal|local|svc|lan)\b"
            r"(?:\.[a-z0-9.-]+)?)(?::\d+)?\b",
            r"\bsk-[a-z0-9_-]{6,}",  # keys
            r"(?<=\bbearer )[^\s\"',]+",
            r"\b(?:org|wrkspc|apikey|user|acct)_01[a-z0-9]{8,}",  # accounts
            r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b",
        )
    ),
    re.IGNORECASE,
)


def safe_text(text: str) -> str:
    """`text` without what only the gateway's operator may see."""
    shown = _PRIVATE.sub(_HIDDEN, text[:MAX_CHARS])
    return shown + "..." if len(text) > MAX_CHARS else shown
