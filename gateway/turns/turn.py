"""One stored turn: the answer as it was made, and what it was made from."""

from functools import cached_property

from gateway import wire
from gateway.protocols.shared.digests import BlockDigests
from gateway.structs import Struct, field, replace
from gateway.wire import JSON, JSONObject

_FORMAT = 2


class Link(Struct, frozen=True):
    """Another turn of the same conversation: the `ordinal`-th assistant message, as it was sent."""

    ordinal: int
    mark: bytes


class Turn(Struct, frozen=True, dict=True):
    """An answer of Claude, kept whole.

    `content` is what was answered, word for word; the arguments of calls are spliced in as they
    were streamed. It is empty for a turn that comes back whole from every client.
    `seen` is the digest of what the client was shown. `client` is the digest of what the client
    had sent, `prefix` of what was sent upstream for it: system, tools, messages.
    `after` is the newest turn that was put back into that request; None: none was.
    `added` are the blocks the gateway had put at the end of the newest user message.
    `model`, `thinking` and `effort` are how it was asked for. `stored_at` is in Unix seconds.
    `refused` marks a conversation whose thinking was refused once: nothing is put back there.
    """

    model: str
    seen: bytes
    client: bytes
    prefix: bytes
    stored_at: int
    content: list[JSONObject] = field(default_factory=list)
    after: Link | None = None
    added: list[JSONObject] = field(default_factory=list)
    thinking: JSONObject | None = None
    effort: str | None = None
    refused: bool = False

    @cached_property
    def mark(self) -> bytes:
        """The digest of the turn as it is sent when it is put back."""
        return BlockDigests().of_message({"role": "assistant", "content": self.content})

    def renewed(self, now: int) -> "Turn":
        """The same turn, stored now."""
        return replace(self, stored_at=now)


def dump_turn(turn: Turn) -> bytes:
    """The turn as JSON."""
    return wire.dumps(
        {
            "format": _FORMAT,
            "model": turn.model,
            "seen": turn.seen.hex(),
            "client": turn.client.hex(),
            "prefix": turn.prefix.hex(),
            "stored_at": turn.stored_at,
            "content": [_without_input(block) for block in turn.content],
            "inputs": [
                wire.dumps_text(block["input"]) if "input" in block else None
                for block in turn.content
            ],
            "after": None if turn.after is None else [turn.after.ordinal, turn.after.mark.hex()],
            "added": turn.added,
            "thinking": turn.thinking,
            "effort": turn.effort,
            "refused": turn.refused,
        }
    )


def load_turn(data: bytes) -> Turn | None:
    """The turn in `data`; None when another version of the gateway wrote it in another form."""
    try:
        value = wire.loads(data)
        if value["format"] != _FORMAT:
            return None
        after = value["after"]
        return Turn(
            model=value["model"],
            seen=bytes.fromhex(value["seen"]),
            client=bytes.fromhex(value["client"]),
            prefix=bytes.fromhex(value["prefix"]),
            stored_at=value["stored_at"],
            content=[
                _with_input(block, raw)
                for block, raw in zip(value["content"], value["inputs"], strict=True)
            ],
            after=None if after is None else Link(after[0], bytes.fromhex(after[1])),
            added=value["added"],
            thinking=value["thinking"],
            effort=value["effort"],
            refused=value["refused"],
        )
    except (wire.JSONDecodeError, KeyError, TypeError, ValueError, IndexError):
        return None


def _without_input(block: JSONObject) -> JSONObject:
    """The block for the record: its input goes beside it as text, to keep every byte of it."""
    return {**block, "input": None} if "input" in block else block


def _with_input(block: JSONObject, raw: JSON) -> JSONObject:
    return block if raw is None else {**block, "input": wire.Fragment(raw)}
