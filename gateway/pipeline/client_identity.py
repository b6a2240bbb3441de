"""What a client tells of itself in its headers: its product, and its own key for a conversation."""

import re
from functools import lru_cache

from gateway.context import RequestContext

_PRODUCT = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z]+(?![A-Za-z0-9.]))?")
_CLIENT_CHARS = 60


def client_family(context: RequestContext) -> str:
    """The product in the user agent without its version.

    `OpenAI/Python 3.3.0` gives `openai/python`.
    """
    return _family(context.headers.get("user-agent", ""))


@lru_cache(maxsize=1024)
def _family(agent: str) -> str:
    match = _PRODUCT.match(agent)
    return match[0].lower()[:_CLIENT_CHARS] if match else ""


def client_conversation_key(context: RequestContext, body_key: str | None) -> str | None:
    """The client's own key for its conversation: a session header, or one in the body."""
    header = context.headers.get
    return (
        header("x-claude-code-session-id")
        or header("x-session-id")
        or header("session-id")
        or body_key
    )
