"""The content passes in their order, over one request."""

from collections import OrderedDict
from collections.abc import Callable, Collection

from gateway.protocols.messages_form import text_block
from gateway.protocols.shared.digests import BlockDigests, digest
from gateway.reduction.boilerplate import Boilerplate, user_texts
from gateway.reduction.caps import cap_texts
from gateway.reduction.compaction import compact
from gateway.reduction.context_cut import ContextCut
from gateway.reduction.diff_policy import DIFF_POLICY, wants_diff_policy
from gateway.reduction.opening import Opening
from gateway.reduction.passes import Passes
from gateway.reduction.references import (
    NOTATION,
    ReferenceCache,
    encode_references,
    references_wanted,
)
from gateway.reduction.report import ReductionReport, Technique
from gateway.reduction.texts import Text, read_texts, write_texts
from gateway.reduction.tool_kinds import ToolKinds
from gateway.reduction.volatile import Settled, SystemLines, changing_lines, without_lines
from gateway.structs import Struct, replace
from gateway.wire import JSONObject

Shift = Callable[[int], int]
"""The place of a message after a cut, from its place before it."""

_SYSTEM_TEXTS = 256  # whose changing lines are known to a process; a client has one or two


class Rewriting(Struct, frozen=True):
    """What the passes need to know of one request.

    Messages before `old_messages` have been sent before. `compacted` is the message before which
    old results are shortened. `cut` is where a long conversation is cut; `summary` is the record of
    its previous request.
    """

    body: JSONObject
    passes: Passes
    fixed: Collection[int]
    digests: BlockDigests
    old_messages: int
    compacted: int
    report: ReductionReport
    cut: ContextCut | None = None
    summary: str | None = None


class Rewriter:
    """Runs the content passes. One per process: it remembers what it has seen, for speed only."""

    def __init__(
        self, references: ReferenceCache, kinds: ToolKinds, boilerplate: Boilerplate
    ) -> None:
        self._references = references
        self._kinds = kinds
        self._boilerplate = boilerplate
        self._lines: OrderedDict[tuple[bytes, SystemLines | None], SystemLines] = OrderedDict()

    def forget(self) -> None:
        """Let go of references that are too old."""
        self._references.forget()

    def settled(self, passes: Passes, opening: Opening, digests: BlockDigests) -> Passes:
        """The passes of a conversation that begins so: those that are of use there."""
        references, diff_first = passes.references, passes.diff_first
        is_open = references != "off" and not passes.append_log
        if is_open and not references_wanted(opening, digests):
            references = "off"
        diff_first = diff_first and wants_diff_policy(opening, self._kinds)
        if references == passes.references and diff_first == passes.diff_first:
            return passes
        return replace(passes, references=references, diff_first=diff_first)

    def leaves_alone(self, passes: Passes, opening: Opening) -> bool:
        """True when `rewrite` changes nothing in a first turn, which is no more than its opening.

        To see that costs far less than to rewrite.
        """
        return not (
            passes.references != "off"
            or passes.diff_first
            or passes.context_tokens
            or not opening.is_text
            or passes.may_cap(opening.chars)
            or (passes.boilerplate and self._boilerplate.present(opening.said))
        )

    def settle(
        self, system: list[JSONObject], previous: SystemLines | None, digests: BlockDigests
    ) -> Settled:
        """The system text without its lines that change.

        `previous` are the system lines of the request before.
        """
        came = digest(b"".join(map(digests.of, system)))
        # Only what follows from the key is kept: no text, and no mark of one client for another.
        key = (came, previous)
        known = self._lines.get(key)
        if known is None:
            known = self._lines[key] = changing_lines(system, previous)
            if len(self._lines) > _SYSTEM_TEXTS:
                self._lines.popitem(last=False)
        else:
            self._lines.move_to_end(key)
        return without_lines(system, known)

    def rewrite(self, request: Rewriting) -> JSONObject:
        """The request with its passes done, and reported."""
        body, shift = _pruned(request.body, request)
        texts = read_texts(body, request.fixed, request.digests)
        additions = self._shorten(body, texts, request, shift)
        body = write_texts(body, texts, request.digests)
        if additions:
            block = text_block("\n\n".join(additions))
            body = with_system(body, [*(body.get("system") or ()), block])
        return body

    def _shorten(
        self, body: JSONObject, texts: list[Text], request: Rewriting, shift: Shift
    ) -> list[str]:
        """Run the passes over the texts of `body`; returns what they add to the system text.

        `shift` tells where a message of the client stands after a cut.
        """
        old = shift(request.old_messages)
        passes = request.passes
        additions: list[str] = []
        if passes.may_cap(sum([len(text.value) for text in texts])):
            with _noted(request, "caps", texts, old):
                cap_texts(texts, passes.caps, self._kinds)
        if passes.boilerplate and self._boilerplate.present(user_texts(texts)):
            # After the caps: what a block repeats must still be there.
            with _noted(request, "boilerplate", texts, old):
                self._boilerplate.strip(texts)
        if passes.diff_first:
            with _noted(request, "diff_first", texts, old, added=len(DIFF_POLICY)):
                additions.append(DIFF_POLICY)
        if request.compacted:
            with _noted(request, "cold_compaction", texts, old):
                compact(texts, shift(request.compacted), self._kinds.reads_file)
        if passes.references != "off":
            with _noted(request, "references", texts, old, added=len(NOTATION)):
                additions.append(NOTATION)
                encode_references(
                    body,
                    texts,
                    passes.references,
                    self._references,
                    request.report.conversation,
                    request.digests,
                )
        return additions


def _pruned(body: JSONObject, request: Rewriting) -> tuple[JSONObject, Shift]:
    """The body within the limit of its conversation, and where its messages went."""
    found = request.cut
    if found is None or not request.passes.context_tokens or request.passes.append_log:
        return body, _unmoved  # a log is not what the client sent, and begins anew by itself
    pruned = found.prune(body["messages"], request.summary)
    cut = found.cut
    if cut is None:
        return body, _unmoved
    is_new = request.old_messages < cut.made_at
    removed = pruned.removed_chars
    request.report.note("context_pruning", removed, removed if is_new else 0)
    return {**body, "messages": pruned.messages}, cut.moved


def _unmoved(message: int) -> int:
    return message


class _noted:  # noqa: N801 - used like a function; a generator would cost more than most passes
    """Reports what happens to the texts inside; `added` characters went into the system text.

    Those in messages before `old_messages` have been sent before.
    """

    def __init__(
        self,
        request: Rewriting,
        technique: Technique,
        texts: list[Text],
        old_messages: int,
        added: int = 0,
    ) -> None:
        self._report = request.report
        self._technique: Technique = technique
        self._texts = texts
        self._old_messages = old_messages
        self._added = added
        self._before: list[str] = []

    def __enter__(self) -> None:
        self._before = [text.value for text in self._texts]

    def __exit__(self, *_: object) -> None:
        removed = -self._added
        removed_new = 0 if self._old_messages else -self._added
        after = [text.value for text in self._texts]
        if after != self._before:
            removed += sum(map(len, self._before)) - sum(map(len, after))
            removed_new += sum(
                [
                    len(value) - len(text.value)
                    for text, value in zip(self._texts, self._before, strict=True)
                    if text.message >= self._old_messages
                ]
            )
        self._report.note(self._technique, removed, removed_new)


def with_system(body: JSONObject, blocks: list[JSONObject]) -> JSONObject:
    """`body` with that system text, or none."""
    if blocks:
        return {**body, "system": blocks}
    return {key: value for key, value in body.items() if key != "system"}
