"""Tool names and call ids in the alphabet Claude accepts, and the way back for names.

Both rewrites look at the one name or id alone: neither the order nor the number of tools, so a
name keeps its form in every turn of a conversation and the way back needs no stored state.
"""

import hashlib
import re

MAX_LENGTH = 64  # the documented bound of names, and OpenAI's own; ids have none documented
UNNAMED = "unnamed_tool"
_LEGAL = re.compile(rf"[a-zA-Z0-9_-]{{1,{MAX_LENGTH}}}").fullmatch
_ILLEGAL = re.compile(r"[^a-zA-Z0-9_-]")


def legal(name: str) -> str:
    """`name` unchanged when legal, else cleaned and closed with 8 hex digits of its digest."""
    if _LEGAL(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_ILLEGAL.sub('_', name)[: MAX_LENGTH - 9]}_{digest}"


class ToolNames:
    """The names of one request: the client's -> the one sent. Created per request."""

    def __init__(self) -> None:
        self._sent: dict[str, str] = {}
        self.originals: dict[str, str] = {}
        """Sent name -> client's name, only where they differ."""

    def copy(self) -> "ToolNames":
        """The same names, to which others can be added."""
        names = ToolNames()
        names._sent = dict(self._sent)
        names.originals = dict(self.originals)
        return names

    def sent(self, name: str) -> str:
        """The name to send for the client's `name`."""
        known = self._sent.get(name)
        if known is not None:
            return known
        sent = legal(name) if name else UNNAMED
        self._sent[name] = sent
        if sent != name:
            self.originals[sent] = name
        return sent
