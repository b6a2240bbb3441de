"""The last look at a request before it goes upstream: is all the thinking in it legal?

Between restoring and sending, a request is rewritten by content passes and fitted to its model;
both can change what stands before a thinking block. Here the conversation is digested as it will be
sent. Thinking behind the first change is taken out, and the digest is kept for the answer's turn.
"""

from collections.abc import Sequence

from gateway.catalog.models import Model
from gateway.protocols.shared.digests import unmarked
from gateway.structs import Struct
from gateway.turns.digests import followed
from gateway.turns.restore import PutBack, Restored
from gateway.turns.turn import Link
from gateway.wire import JSONObject

_MOST_CUTS = 16


class Sending(Struct, frozen=True):
    """A body that may be sent, and what its answer's turn must know of it.

    `replayed` is how many turns are in it with what the client had dropped; `cut` tells that some
    were taken out again because the conversation before them had changed.
    """

    body: JSONObject
    restored: Restored
    prefix: bytes
    after: Link | None
    added: list[JSONObject]
    replayed: int
    cut: bool


def prepare(
    restored: Restored,
    body: JSONObject,
    model: Model,
    rewritten: list[JSONObject] | None = None,
) -> Sending:
    """The body to send: `body`, made of `restored`, without thinking that is no longer legal.

    `rewritten` are the restored messages as the passes left them, when there were any.
    """
    walk = _Walk(restored, body, model)
    messages: list[JSONObject] = body["messages"]
    cut = 0
    while walk.first_illegal(messages) is not None:
        # Turns behind it may have been made without it. Mostly there are none; if many tries show
        # nothing, all of them go.
        cut += 1
        messages = _taken_out(messages, walk.illegal[: 1 if cut < _MOST_CUTS else None])
    kept = walk.legal
    return Sending(
        body={**body, "messages": messages} if cut else body,
        restored=restored,
        prefix=walk.state,
        after=Link(kept[-1].ordinal, kept[-1].mark) if kept else None,
        added=_added(restored.messages if rewritten is None else rewritten, messages),
        replayed=len(kept),
        cut=cut > 0,
    )


class _Walk:
    """Goes through messages with the digest of everything before each.

    `legal` are the turns that stand behind the conversation they were made in, `illegal` the first
    one that does not and all after it; `state` is the digest at the end.
    """

    def __init__(self, restored: Restored, body: JSONObject, model: Model) -> None:
        self._setting = restored.history.setting_of(body)
        self._known = _known_digests(restored)
        self._blocks = restored.history.blocks
        self._put_back = {id(each.message["content"]): each for each in restored.put_back}
        self._bound = model.preserved_thinking
        self.state = self._setting
        self.legal: list[PutBack] = []
        self.illegal: list[PutBack] = []

    def first_illegal(self, messages: list[JSONObject]) -> PutBack | None:
        """The first turn that stands in another conversation, if one does."""
        self.state = self._setting
        self.legal, self.illegal = [], []
        for message in messages:
            each = self._put_back.get(id(message["content"]))
            if each is not None:
                bound = self._bound and each.prefix is not None
                changed = bool(self.illegal) or (bound and each.prefix != self.state)
                (self.illegal if changed else self.legal).append(each)
            digest = self._known.get(id(message)) or self._blocks.of_message(message)
            self.state = followed(self.state, message["role"], digest)
        return self.illegal[0] if self.illegal else None


def _taken_out(messages: list[JSONObject], put_back: Sequence[PutBack]) -> list[JSONObject]:
    """The messages with those turns as the client has them, and without what stood before them."""
    bare = {id(each.message["content"]): each.bare for each in put_back}
    added = {id(block) for each in put_back if each.turn for block in each.turn.added}
    taken = [bare.get(id(message["content"]), message) for message in messages]
    return [_without(message, added) for message in taken] if added else taken


def _without(message: JSONObject, blocks: set[int]) -> JSONObject:
    """The message without the blocks of these identities, which passes leave as they are."""
    content: list[JSONObject] = message["content"]
    if message["role"] != "user" or not any(id(block) in blocks for block in content):
        return message
    return {**message, "content": [block for block in content if id(block) not in blocks]}


def _known_digests(restored: Restored) -> dict[int, bytes]:
    """Digests that are known already, by the identity of messages that nobody has changed."""
    history = restored.history
    known = {
        id(message): digest
        for message, digest in zip(history.messages, history.digests, strict=True)
        if message["role"] != "assistant"
    }
    known.update((id(each.message), each.mark) for each in restored.put_back)
    return known


def _added(before: list[JSONObject], sent: list[JSONObject]) -> list[JSONObject]:
    """What was put at the end of the newest user message; nothing when it was changed otherwise."""
    old, new = _newest_user(before), _newest_user(sent)
    if old is new or len(new) <= len(old):
        return []
    sent_blocks = [unmarked(block) for block in new]
    if sent_blocks[: len(old)] != [unmarked(block) for block in old]:
        return []
    return sent_blocks[len(old) :]


def _newest_user(messages: list[JSONObject]) -> list[JSONObject]:
    for message in reversed(messages):
        if message["role"] == "user":
            content: list[JSONObject] = message["content"]
            return content
    return []
