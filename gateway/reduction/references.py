"""Lossless references: text that stands earlier in the same request is sent once.

`reference_notation` is how they are written, `reference_source` a text in lines, `reference_index`
finds lines that were sent before, `reference_encoder` writes texts, `reference_reader` reads them
back, `reference_cache` spares a conversation's next request the work of this one.
"""

from collections.abc import Sequence

from gateway.policies import References
from gateway.protocols.shared.digests import BlockDigests
from gateway.protocols.shared.walks import Walk
from gateway.reduction.opening import Opening
from gateway.reduction.reference_cache import Memory, ReferenceCache, Step
from gateway.reduction.reference_encoder import ReferenceEncoder, is_eligible
from gateway.reduction.reference_notation import LABEL_OPENING, NOTATION, split_label
from gateway.reduction.reference_reader import BadReferenceError, ReferenceReader
from gateway.reduction.texts import Text, read_texts, write_texts
from gateway.structs import field
from gateway.wire import JSON, JSONObject

__all__ = [
    "NOTATION",
    "BadReferenceError",
    "ReferenceCache",
    "decode_references",
    "encode_references",
    "references_wanted",
]

_LONG_ENOUGH_CHARS = 3_000  # the notation costs a small conversation more than it saves
_ENDING_CHARS = 32


def references_wanted(opening: Opening, digests: BlockDigests) -> bool:
    """True when explaining the notation can pay: an agent's tools and task, or one long text."""
    sizes = list(map(len, opening.said))
    if max(sizes, default=0) >= _LONG_ENOUGH_CHARS:
        return True
    if not opening.tools:
        return False
    head = digests.look_all([*opening.tools, *opening.system])
    return sum(sizes) + sum([each.size for each in head]) >= _LONG_ENOUGH_CHARS


def encode_references(
    body: JSONObject,
    texts: Sequence[Text],
    mode: References,
    cache: ReferenceCache | None = None,
    conversation: str = "",
    digests: BlockDigests | None = None,
) -> None:
    """Label the texts of users and tools, and send what they repeat as references.

    `texts` are those of `body` as earlier passes left them. `cache` saves the work that earlier
    requests of `conversation` have done; it changes nothing.
    """
    if mode == "off":
        return
    eligible = [text for text in texts if text.kind != "system" and is_eligible(text.value)]
    steps = _steps(body, texts, eligible, digests or BlockDigests())
    memory: Memory | None = None
    links: list[int] = []
    runs = mode == "runs"
    if cache is not None:
        links = _links(steps)
        memory = cache.take(conversation, steps, links)
    if memory is None or memory.encoder.runs != runs:
        memory = Memory(ReferenceEncoder(runs=runs))
    memory.extend(steps)
    for text, sent in zip(eligible, memory.sent, strict=True):
        text.value = sent
    if cache is not None and links:
        cache.put(conversation, links[-1], memory)


def decode_references(body: JSONObject) -> JSONObject:
    """An encoded body as it was before, with nothing known but itself. Raises BadReferenceError.

    The system block that explains the notation stays.
    """
    reader = ReferenceReader()
    texts = read_texts(body)
    for text in texts:
        if text.kind != "system":
            text.value = reader.read(text.value)
    return write_texts(body, texts)


def _steps(
    body: JSONObject, texts: Sequence[Text], eligible: list[Text], digests: BlockDigests
) -> list[Step]:
    """What is encoded, and between it the labels that something else claims."""
    claims = _claims(body, texts, digests)
    if not claims:
        return [text.value for text in eligible]
    places: list[tuple[int, int, Step]] = [
        *claims,
        *((text.message, text.block, text.value) for text in eligible),
    ]
    places.sort(key=lambda place: place[:2])
    return [step for _, _, step in places]


def _claims(
    body: JSONObject, texts: Sequence[Text], digests: BlockDigests
) -> list[tuple[int, int, int]]:
    """Where something that is not encoded begins like a label, and the label.

    The assistant may repeat one, or a system text; a reader could take it for the real one.
    """
    openings = digests.walk(body["messages"], _OpeningsWalk()).openings
    if openings:
        read = {(text.message, text.block) for text in texts}
        openings = [opening for opening in openings if opening[:2] not in read]
    openings = openings + [
        (text.message, text.block, text.value)
        for text in texts
        if text.kind == "system" and text.value.startswith(LABEL_OPENING)
    ]
    return [
        (message, block, split[0])
        for message, block, opening in openings
        if (split := split_label(opening)) is not None
    ]


class _OpeningsWalk(Walk):
    """A walk to the texts that begin like a label, with their places."""

    openings: list[tuple[int, int, str]] = field(default_factory=list)

    def go(self, messages: list[JSONObject], first: int, _: BlockDigests) -> None:
        """See more messages."""
        for number, message in enumerate(messages, first):
            for place, block in enumerate(message["content"]):
                kind, text = block["type"], ""
                if kind == "text":
                    text = block["text"]
                elif kind == "tool_result":
                    text = _in_parts(block.get("content"))
                if text.startswith(LABEL_OPENING):
                    self.openings.append((number, place, text))


def _in_parts(content: JSON) -> str:
    """The text of a result that comes in several parts."""
    if isinstance(content, list) and len(content) > 1:
        return "".join([part["text"] for part in content if part["type"] == "text"])
    return ""


def _links(steps: Sequence[Step]) -> list[int]:
    """For each step what stands for all before it, in this process; not a digest of it all."""
    links: list[int] = []
    link = 0
    for step in steps:
        links.append(link)
        link = hash((link, step if isinstance(step, int) else (len(step), step[-_ENDING_CHARS:])))
    return links
