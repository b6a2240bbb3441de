"""Whether the model is told everything the client has said: a reader of the request alone checks.

Every text, call, image and tool definition of the plain translation must be in what is sent, as it
is or through references that lead to earlier text of the same request. What is not there is
"declared" when a text says that the gateway has taken something out, and "hidden" otherwise.
"""

import re
from collections.abc import Iterable, Iterator

from gateway import wire
from gateway.protocols.shared.digests import unmarked
from gateway.reduction.reference_reader import BadReferenceError, ReferenceReader
from gateway.structs import Struct
from gateway.wire import JSON, JSONObject

DECLARED = "removed by the gateway"
"""The words with which every cut says that it is one."""

_SPACE = re.compile(r"\s+")


class Told(Struct):
    """Characters of what clients have said, by what became of them; counts add up.

    `bad_references` lead nowhere.
    """

    characters: int = 0
    hidden: int = 0
    declared: int = 0
    bad_references: int = 0

    def add(self, other: "Told") -> None:
        """Takes other counts in."""
        self.characters += other.characters
        self.hidden += other.hidden
        self.declared += other.declared
        self.bad_references += other.bad_references


def check_information(plain: JSONObject, sent: JSONObject) -> Told:
    """What of the plain translation a reader of `sent` learns."""
    told = Told()
    texts = _decoded_texts(sent, told)
    said = _Said(texts, sent)
    declares = _declarations(texts) > _declarations(list(_client_texts(plain)))
    for text in _texts(plain):
        told.characters += len(text)
        _lose(told, said.lost(text), declares=declares)
    for contents, may_go in ((_tools, False), (_other_content, declares)):
        whole = set(contents(sent))
        for content in contents(plain):
            told.characters += len(content)
            _lose(told, 0 if content in whole else len(content), declares=may_go)
    return told


def _lose(told: Told, lost: int, *, declares: bool) -> None:
    if declares:
        told.declared += lost
    else:
        told.hidden += lost


class _Said:
    """The texts of a request, ready to be searched."""

    def __init__(self, texts: list[str], sent: JSONObject) -> None:
        self._whole = set(texts)
        self._lines: set[str] | None = None
        self._texts = [*texts, *_assistant_texts(sent)]
        self._flat: str | None = None
        self._whole.update(self._texts)
        self._whole.update(_client_texts(sent))  # one of the client's may begin as a label does

    def lost(self, text: str) -> int:
        """How many characters of `text` are nowhere, blanks not counted."""
        if text in self._whole or _squeezed(text) in self._all():
            return 0
        return sum(
            len(squeezed)
            for line in text.split("\n")
            if line.strip() not in self._known_lines()
            and (squeezed := _squeezed(line)) not in self._all()
        )

    def _known_lines(self) -> set[str]:
        if self._lines is None:
            self._lines = {line.strip() for text in self._texts for line in text.split("\n")}
        return self._lines

    def _all(self) -> str:
        if self._flat is None:
            self._flat = "\x00".join(map(_squeezed, self._texts))
        return self._flat


def _declarations(texts: list[str]) -> int:
    return sum(text.count(DECLARED) for text in texts)


def _squeezed(text: str) -> str:
    return _SPACE.sub("", text)


def _decoded_texts(body: JSONObject, told: Told) -> list[str]:
    """The texts of system, users and tools as the model reads them, in their order."""
    reader = ReferenceReader()
    texts: list[str] = []
    for text in _client_texts(body):
        try:
            texts.append(reader.resolved(text))
        except BadReferenceError:
            told.bad_references += 1
            texts.append(text)
    return texts


def _texts(body: JSONObject) -> Iterator[str]:
    yield from _client_texts(body)
    yield from _assistant_texts(body)


def _client_texts(body: JSONObject) -> Iterator[str]:
    yield from _in_blocks(body.get("system"))
    for message in body["messages"]:
        if message["role"] != "assistant":
            yield from _in_blocks(message["content"])


def _assistant_texts(body: JSONObject) -> Iterator[str]:
    for message in body["messages"]:
        if message["role"] == "assistant":
            yield from _in_blocks(message["content"])


def _in_blocks(content: JSON) -> Iterator[str]:
    if isinstance(content, str):
        yield content
        return
    for block in content or ():
        if block.get("type") == "text":
            yield block["text"]
        elif block.get("type") == "tool_result":
            yield from _in_blocks(block.get("content"))


def _tools(body: JSONObject) -> Iterator[bytes]:
    """The definitions of tools, as bytes that do not depend on the order of keys."""
    for tool in body.get("tools") or ():
        yield wire.dumps_sorted(unmarked(tool))


def _other_content(body: JSONObject) -> Iterator[bytes]:
    """Calls, images and documents in the same form.

    The ids of calls are no content; a model only joins calls and results by them.
    """
    for message in body["messages"]:
        if not isinstance(message["content"], str):
            yield from _blocks_beside_text(message["content"])


def _blocks_beside_text(blocks: Iterable[JSONObject]) -> Iterator[bytes]:
    for block in blocks:
        kind = block.get("type")
        if kind == "tool_use":
            yield wire.dumps_sorted([block["name"], block.get("input")])
        elif kind == "tool_result" and isinstance(block.get("content"), list):
            yield from _blocks_beside_text(block["content"])
        elif kind in ("image", "document"):
            yield wire.dumps_sorted(unmarked(block))
