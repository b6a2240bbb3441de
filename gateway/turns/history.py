"""A request's history, digested once: where assistant turns stand and under which keys they are.

Everything here depends on the translated messages alone and is the same, for the messages two
requests have in common, in both.
"""

from collections.abc import Mapping

from gateway.protocols.messages_form import THINKING_BLOCKS
from gateway.protocols.shared.digests import BlockDigests, digest
from gateway.protocols.shared.walks import Walk
from gateway.structs import Struct, field, replace
from gateway.turns.digests import followed, seen_digest, setting_digest
from gateway.wire import JSONObject

_START = digest(b"conversation")


class Place(Struct, frozen=True):
    """An assistant message of the history.

    `index` is its place among the messages; `key` what its stored turn goes by; `seen` the digest
    of what the client shows of it; `before` one of all messages the client sent before it; `opens`
    tells that a person speaks right before it, not a tool.
    """

    index: int
    key: str
    seen: bytes
    before: bytes
    opens: bool


class History(Struct, frozen=True):
    """The messages of a request with their digests.

    `body` is what they stand in. `digests` has one for each message: as sent, but for assistant
    messages as seen. `end` is the digest of all of them, without tools and system, `setting` that
    of tools and system. `carried` has, by the signatures of thinking that stands in the messages
    under seals of our own, the digest of the conversation it was made in (`Sending.prefix`); it is
    None when the client carries thinking without such a seal. `blocks` are the digests of the
    request's content blocks.
    """

    body: JSONObject
    messages: list[JSONObject]
    digests: list[bytes]
    places: list[Place]
    setting: bytes
    end: bytes
    carried: Mapping[str, bytes] | None
    blocks: BlockDigests

    def setting_of(self, body: JSONObject) -> bytes:
        """The digest of the tools and the system text of a body made of this one."""
        same = all(body.get(name) is self.body.get(name) for name in ("tools", "system"))
        return self.setting if same else setting_digest(body, self.blocks)

    def carried_prefix(self, content: list[JSONObject]) -> bytes | None:
        """The digest of the conversation in which carried thinking was made, if that is known."""
        for block in content:
            signature = block.get("signature") or block.get("data")
            if block["type"] in THINKING_BLOCKS and isinstance(signature, str):
                return (self.carried or {}).get(signature)
        return None

    def client(self, place: Place) -> bytes:
        """The digest of everything the client sent before that place."""
        return digest(self.setting + place.before)

    @property
    def client_end(self) -> bytes:
        """The digest of everything the client sent; `client` of the answer."""
        return digest(self.setting + self.end)

    def settled(self, body: JSONObject) -> "History":
        """The same with the tools and the system text of `body`."""
        return replace(self, body=dict(body), setting=self.setting_of(body))


def read_history(
    body: JSONObject,
    carried: Mapping[str, bytes] | None = None,
    blocks: BlockDigests | None = None,
) -> History:
    """The history of a request body in the Messages form, before it is fitted to a model."""
    messages: list[JSONObject] = body["messages"]
    blocks = blocks or BlockDigests()
    setting = setting_digest(body, blocks)
    walk = blocks.walk(messages, _HistoryWalk())
    return History(
        dict(body), messages, walk.digests, walk.places, setting, walk.state, carried, blocks
    )


class _HistoryWalk(Walk):
    """A walk to the digests and places of a history."""

    digests: list[bytes] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    state: bytes = _START
    opens: bool = True

    def go(self, messages: list[JSONObject], first: int, blocks: BlockDigests) -> None:
        """See more messages."""
        state, opens = self.state, self.opens
        for index, message in enumerate(messages, first):
            if message["role"] == "assistant":
                content = message["content"]
                seen = blocks.of_view(content, seen_digest)
                key = turn_key(content, state, seen)
                self.places.append(Place(index, key, seen, state, opens))
                opens = True
            else:
                seen = blocks.of_message(message)
                opens = opens and not _has_result(message)
            self.digests.append(seen)
            state = followed(state, message["role"], seen)
        self.state, self.opens = state, opens


class Answers(Walk):
    """A walk over the assistant's messages that takes no digest of any.

    `has_thinking` tells that thinking stands in one, because the client carried it. `keys` are
    those of a history in which every assistant message has a call; None for any other.
    """

    has_thinking: bool = False
    keys: list[str] | None = field(default_factory=list)

    def go(self, messages: list[JSONObject], _: int, __: BlockDigests) -> None:
        """See more messages."""
        for message in messages:
            if message["role"] != "assistant":
                continue
            content = message["content"]
            kinds = {block["type"] for block in content}
            self.has_thinking = self.has_thinking or not kinds.isdisjoint(THINKING_BLOCKS)
            if "tool_use" not in kinds:
                self.keys = None
            elif self.keys is not None:
                self.keys.append(turn_key(content, b"", b""))


def turn_key(content: list[JSONObject], before: bytes, seen: bytes) -> str:
    """What a turn is stored under: its first call's id, else where it stands and what it says.

    The id of a call survives every client; a text has none, so the conversation before it
    (`before`, of `History.end`) and its own words (`seen`) tell it apart.
    """
    for block in content:
        if block["type"] == "tool_use":
            return digest(b"call" + str(block["id"]).encode()).hex()
    return digest(b"text" + before + seen).hex()


def _has_result(message: JSONObject) -> bool:
    content = message["content"]
    return message["role"] == "user" and any(
        block["type"] == "tool_result" for block in content if isinstance(block, dict)
    )
