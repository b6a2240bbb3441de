"""Thinking blocks that travel through a client: sealed on the way out, opened on the way back.

A client of the Responses API keeps the reasoning as `encrypted_content` and sends it with its next
request. Only the gateway can read or make such a text, and only for the same `context` (project).

The API checks that nothing before a thinking block has changed since it was written, left-out
thinking included. So every seal says which thinking stood before its block in that request: a
digest of their signatures, the chain. A block comes back into a request only when the thinking
before it there gives the same chain; when the client has lost one block, the later ones that were
bound to it stay out as well, and no gap can arise.
"""

import hashlib
from collections.abc import Iterable
from typing import Protocol

from gateway import wire
from gateway.structs import Struct
from gateway.wire import JSON, JSONObject

NO_THINKING = ""
"""The chain where no thinking stands before."""

_FORM = 1  # of the sealed JSON; another number is another form, and not read


class Sealer(Protocol):
    """Authenticated encryption; what was sealed for one context opens for no other."""

    def seal(self, data: bytes, context: bytes) -> str:
        """`data` as text that only `open` can read."""

    def open(self, text: str, context: bytes) -> bytes | None:
        """The data sealed in `text`; None when it is not authentic for this context."""


class SealedThinking(Struct, frozen=True):
    """One opened seal: the block as the API sent it, its model, the chain it must stand behind."""

    block: JSONObject
    model: str
    chain: str


class ThinkingSeal(Struct, frozen=True):
    """Seals and opens thinking blocks for one context, such as a project."""

    sealer: Sealer
    context: bytes

    def seal(self, block: JSONObject, model: str, chain: str) -> str:
        """`block`, written by `model` behind the thinking of `chain`, as text for the client."""
        sealed = {"form": _FORM, "model": model, "chain": chain, "block": block}
        return self.sealer.seal(wire.dumps(sealed), self.context)

    def open(self, text: str) -> SealedThinking | None:
        """What `seal` made; None for texts of others, changed texts and forms not known."""
        data = self.sealer.open(text, self.context)
        if data is None:
            return None
        value = wire.loads(data)
        if value.get("form") != _FORM:
            return None
        return SealedThinking(value["block"], value["model"], value["chain"])


def signature_of(block: JSONObject) -> str | None:
    """What makes a thinking block genuine: its signature, or the data of a redacted one."""
    kind = block.get("type")
    if kind == "thinking":
        return block.get("signature") or None
    if kind == "redacted_thinking":
        return block.get("data") or None
    return None


def advanced(chain: str, block: JSONObject) -> str:
    """The chain behind `block`; other blocks than signed thinking leave it as it is."""
    signature = signature_of(block)
    if signature is None:
        return chain
    joined = f"{chain}\n{signature}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()[:32]


def thinking_chain(messages: Iterable[JSON]) -> str:
    """The chain of all thinking in the `messages` of a body: what an answer to it is bound to."""
    chain = NO_THINKING
    for message in messages:
        if message["role"] == "assistant" and isinstance(message["content"], list):
            for block in message["content"]:
                chain = advanced(chain, block)
    return chain
