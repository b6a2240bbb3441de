"""The texts of a request in the order in which they are sent: what passes read and rewrite.

A pass is a function over these texts: it sets `value` of those it changes. It may look at earlier
texts and at what is fixed for the conversation, at nothing else.
"""

from collections.abc import Collection
from typing import Literal

from gateway.protocols.shared.digests import BlockDigests
from gateway.protocols.shared.walks import Walk
from gateway.structs import Struct, field, replace
from gateway.wire import JSONObject

_SALT_CHARS = 64  # at each end; passes are deterministic, so that length and ends tell enough

TextKind = Literal["system", "user", "tool_result"]


class Text(Struct):
    """One text block of system, of a user message, or the only one of a tool result.

    `message` is the index of its message, -1 for the system text; `block` its place there; `nested`
    tells that it stands inside a tool result. `call` is the `tool_use` block a result answers.
    `original` never changes. System messages in the middle of a conversation count as "system".
    """

    kind: TextKind
    value: str
    message: int
    block: int
    original: str
    nested: bool = False
    call: JSONObject | None = None

    @property
    def is_changed(self) -> bool:
        """True when a pass has given it another value."""
        return self.value is not self.original and self.value != self.original


def read_texts(
    body: JSONObject, fixed: Collection[int] = (), digests: BlockDigests | None = None
) -> list[Text]:
    """The texts of a body in the Messages form, whose contents are lists of blocks.

    Left out: what the assistant said, tool results of other than exactly one text block, and the
    blocks whose `id()` is in `fixed`, which the gateway itself has put there earlier.
    """
    texts = [
        Text("system", block["text"], -1, index, block["text"])
        for index, block in enumerate(body.get("system") or ())
    ]
    messages: list[JSONObject] = body["messages"]
    walk = (digests or BlockDigests()).walk(messages, _TextsWalk())
    if not fixed:
        return texts + walk.fresh()
    return texts + [
        text
        for text in walk.fresh()
        if text.nested or id(messages[text.message]["content"][text.block]) not in fixed
    ]


class _TextsWalk(Walk):
    """A walk to the texts of the messages, of which each is as it was sent.

    `calls` are the newest ones of the assistant, by their ids.
    """

    texts: list[Text] = field(default_factory=list)
    calls: dict[str, JSONObject] = field(default_factory=dict)

    def go(self, messages: list[JSONObject], first: int, _: BlockDigests) -> None:
        """See more messages."""
        texts = self.texts
        for number, message in enumerate(messages, first):
            role, content = message["role"], message["content"]
            if role == "assistant":
                self.calls = {
                    block["id"]: block for block in content if block["type"] == "tool_use"
                }
                continue
            kind: TextKind = "system" if role == "system" else "user"
            for index, block in enumerate(content):
                if block["type"] == "text":
                    text = block["text"]
                    texts.append(Text(kind, text, number, index, text))
                elif block["type"] == "tool_result":
                    value = _only_text(block)
                    if value is not None:
                        call = self.calls.get(block["tool_use_id"])
                        texts.append(Text("tool_result", value, number, index, value, True, call))

    def fresh(self) -> list[Text]:
        """The texts, for passes to change."""
        return list(map(replace, self.texts))


def write_texts(
    body: JSONObject, texts: list[Text], digests: BlockDigests | None = None
) -> JSONObject:
    """`body` with the changed values in it; the same object when nothing was changed.

    What did not change is shared. A system text that was emptied is left out. `digests` learn those
    of the new blocks from those of the old ones.
    """
    changed = [text for text in texts if text.is_changed]
    if not changed:
        return body
    messages: list[JSONObject] = list(body["messages"])
    system: list[JSONObject] = []
    latest, blocks = -2, system
    for text in changed:
        if text.message != latest:
            latest = text.message
            if latest < 0:
                blocks = system = list(body["system"])
            else:
                message = messages[latest]
                blocks = list(message["content"])
                messages[latest] = {**message, "content": blocks}
        blocks[text.block] = _with_text(blocks[text.block], text, digests)
    result = {**body, "messages": messages}
    if system:
        result["system"] = [block for block in system if block["text"]]
        if not result["system"]:
            del result["system"]
    return result


def _with_text(block: JSONObject, text: Text, digests: BlockDigests | None) -> JSONObject:
    value = text.value
    known = digests.rewritten(block, value) if digests is not None else None
    if known is not None:
        return known
    if not text.nested:
        changed = {**block, "text": value}
    elif isinstance(block["content"], str):
        changed = {**block, "content": value}
    else:
        changed = {**block, "content": [{**block["content"][0], "text": value}]}
    if digests is not None:
        ends = (value[:_SALT_CHARS] + value[-_SALT_CHARS:]).encode("utf-8", "surrogatepass")
        salt = len(value).to_bytes(4, "big") + ends
        digests.rewrite(block, value, changed, salt, len(value) - len(text.original))
    return changed


def _only_text(result: JSONObject) -> str | None:
    content = result.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list) and len(content) == 1 and content[0]["type"] == "text":
        text: str = content[0]["text"]
        return text
    return None
