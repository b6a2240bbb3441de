"""The content passes in their order, over one request."""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from gateway.policies import TextPolicy
from gateway.protocols.messages_form import text_block
from gateway.protocols.shared.digests import BlockDigests, chained
from gateway.reduction.passes import Passes
from gateway.reduction.references import (
    NOTATION,
    ReferenceCache,
    encode_references,
    references_wanted,
)
from gateway.reduction.report import ReductionReport, Technique
from gateway.reduction.texts import Text, read_texts, write_texts
from gateway.reduction.volatile import Settled, SystemLines, settle_system
from gateway.wire import JSONObject

_SYSTEM_TEXTS = 256  # settled ones kept per process; a client has one or two


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What the passes need to know of one request.

    `lines` are the system lines of the previous request. Messages before `old_messages` have been
    sent before. `compacted` is the message before which old results are shortened.
    """

    body: JSONObject
    passes: Passes
    policy: TextPolicy
    fixed: Collection[int]
    digests: BlockDigests
    lines: SystemLines | None
    old_messages: int
    compacted: int
    report: ReductionReport


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A request after the content passes, with what was taken out of its system text."""

    body: JSONObject
    lines: SystemLines
    client_system: bytes
    moved: list[str]


class Rewriter:
    """Runs the content passes. One per process: it remembers what it has seen, for speed only."""

    def __init__(self, references: ReferenceCache) -> None:
        self._references = references
        self._settled: OrderedDict[tuple[bytes, tuple[int, ...]], Settled] = OrderedDict()

    def rewrite(self, request: Rewriting) -> Rewritten:
        """The request with its passes done, and reported."""
        body = request.body
        client_system = chained(*map(request.digests.of, body.get("system") or ()))
        additions: list[str] = []
        lines, moved = SystemLines(), []
        if request.passes.volatile_lines and body.get("system"):
            settled = self._settle(body["system"], client_system, request.lines)
            lines, moved = settled.known, settled.moved
            if moved:
                body = _with_system(body, settled.blocks)
        texts = read_texts(body, request.fixed)
        request.report.plain_chars = sum(len(text.original) for text in texts)
        wanted = request.passes.append_log or references_wanted(request.body, request.digests)
        if request.passes.references != "off" and wanted:
            additions.append(NOTATION)
            self._refer(texts, request)
        body = write_texts(body, texts, request.digests)
        if additions:
            block = text_block("\n\n".join(additions))
            body = _with_system(body, [*(body.get("system") or ()), block])
        return Rewritten(body, lines, client_system, moved)

    def _refer(self, texts: list[Text], request: Rewriting) -> None:
        before = [len(text.value) for text in texts]
        encode_references(
            texts, request.passes.references, self._references, request.report.conversation
        )
        _note(request, "references", texts, before, added=len(NOTATION))

    def _settle(
        self, blocks: list[JSONObject], digest: bytes, previous: SystemLines | None
    ) -> Settled:
        key = (digest, previous.moved if previous is not None else ())
        known = self._settled.get(key)
        if known is not None:
            self._settled.move_to_end(key)
            return known
        settled = self._settled[key] = settle_system(blocks, previous)
        if len(self._settled) > _SYSTEM_TEXTS:
            self._settled.popitem(last=False)
        return settled


def _note(
    request: Rewriting, technique: Technique, texts: list[Text], before: list[int], added: int = 0
) -> None:
    """Report what a pass has done to the texts, whose lengths were `before`."""
    removed = -added
    removed_new = 0 if request.old_messages else -added
    for text, chars in zip(texts, before, strict=True):
        change = chars - len(text.value)
        if change:
            removed += change
            if text.message >= request.old_messages:
                removed_new += change
    request.report.note(technique, removed, removed_new)


def _with_system(body: JSONObject, blocks: list[JSONObject]) -> JSONObject:
    """`body` with that system text, or none."""
    if blocks:
        return {**body, "system": blocks}
    return {key: value for key, value in body.items() if key != "system"}
