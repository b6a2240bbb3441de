"""An answer ready to be sent: limits applied, thinking signed, usage counted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from simulator.plan import Block, Plan
from simulator.prompt import canonical
from simulator.prompt_cache import CacheUse
from simulator.thinking_blocks import BindingTracker, Signer
from simulator.tokens import Counter, scaled
from simulator.wire import Json, dumps_text, new_id

_FRAME_TOKENS = 3  # every answer costs a few tokens, an empty one too: an estimate
_DELTA = re.compile(r"\S*\s+|\S+")
_JSON_DELTA_CHARS = 16


@dataclass(slots=True)
class Answer:
    """A complete answer.

    `blocks` hold what is shown; `output_tokens` includes `thinking_tokens`. `extra` are further
    fields of the message, such as `input_transformations`. `edits` are what the request's context
    edits did, None when it asked for none; `compaction_usage` is the iteration of a compaction.
    """

    model: str
    use: CacheUse
    blocks: list[Block]
    stop_reason: str
    stop_sequence: str | None
    stop_details: Json | None
    output_tokens: int
    thinking_tokens: int
    usage_override: Json = field(default_factory=dict)
    extra: Json = field(default_factory=dict)
    edits: list[Json] | None = None
    compaction_usage: Json | None = None
    id: str = field(default_factory=lambda: new_id("msg_"))

    def usage(self) -> Json:
        """The final `usage` object; what a compaction used is only in its iterations."""
        iterations: Json = {}
        if self.compaction_usage is not None:
            own = {"type": "message", **self.use.usage(), "output_tokens": self.output_tokens}
            iterations = {"iterations": [self.compaction_usage, own]}
        return {
            **self.use.usage(),
            "output_tokens": self.output_tokens,
            "output_tokens_details": {"thinking_tokens": self.thinking_tokens},
            "service_tier": "standard",
            "inference_geo": "global",
            **iterations,
            **self.usage_override,
        }

    def edited(self) -> Json:
        """The `context_management` field of an answer that has one."""
        if self.edits is None:
            return {}
        return {"context_management": {"applied_edits": self.edits}}

    def head(self) -> Json:
        """The message as `message_start` carries it: no content, output barely begun."""
        usage = {**self.usage(), "output_tokens": min(self.output_tokens, 1)}
        usage.pop("output_tokens_details", None)
        usage.pop("iterations", None)
        return {
            **self._frame(),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": usage,
            **self.extra,
        }

    def message(self) -> Json:
        """The whole message of a non-streaming answer."""
        return {
            **self._frame(),
            "content": [content_of(block) for block in self.blocks],
            "stop_reason": self.stop_reason,
            "stop_sequence": self.stop_sequence,
            "stop_details": self.stop_details,
            "usage": self.usage(),
            **self.edited(),
            **self.extra,
        }

    def _frame(self) -> Json:
        return {"id": self.id, "type": "message", "role": "assistant", "model": self.model}


def content_of(block: Block) -> Json:
    """A block as it appears in the message's content."""
    if block.kind == "text":
        return {"type": "text", "text": block.text}
    if block.kind == "thinking":
        return {"type": "thinking", "thinking": block.text, "signature": block.signature}
    if block.kind == "redacted_thinking":
        return {"type": "redacted_thinking", "data": block.signature}
    if block.kind == "tool_use":
        shown: Json = {} if block.cut is not None else block.input
        return {"type": "tool_use", "id": block.id, "name": block.name, "input": shown}
    return block.raw or {}


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends an answer early; `window_tokens` is the room left in the context window."""

    max_tokens: int
    window_tokens: int
    stop_sequences: Sequence[str]
    scale: float


@dataclass(slots=True)
class Composer:
    """Turns one plan into an answer."""

    counter: Counter
    limits: Limits
    signer: Signer
    tracker: BindingTracker
    spent: int = _FRAME_TOKENS
    thinking: int = 0

    def compose(self, plan: Plan, model: str, use: CacheUse, extra: Json) -> Answer:
        """The answer; the plan's own stop reason wins over what the limits say."""
        blocks, reason, sequence = self._limited(plan.blocks or [])
        stop_reason = plan.stop_reason or reason or _natural_stop(blocks)
        return Answer(
            model=model,
            use=use,
            blocks=blocks,
            stop_reason=stop_reason,
            stop_sequence=plan.stop_sequence or sequence,
            stop_details=plan.stop_details,
            output_tokens=self.spent if self.limits.max_tokens else 0,
            thinking_tokens=self.thinking,
            usage_override=plan.usage,
            extra=extra,
        )

    def _limited(self, planned: Sequence[Block]) -> tuple[list[Block], str | None, str | None]:
        if self.limits.max_tokens == 0:
            return [], "max_tokens", None
        blocks: list[Block] = []
        for block in planned:
            sequence = self._stop_in(block)
            cut = self._spend(block)
            self._sign(block)
            blocks.append(block)
            if cut:
                window = self.limits.window_tokens < self.limits.max_tokens
                return blocks, "model_context_window_exceeded" if window else "max_tokens", None
            if sequence is not None:
                return blocks, "stop_sequence", sequence
        return blocks, None, None

    def _stop_in(self, block: Block) -> str | None:
        """Cuts a text block before the first stop sequence in it and returns the sequence."""
        if block.kind != "text":
            return None
        found = [
            (block.text.index(sequence), sequence)
            for sequence in self.limits.stop_sequences
            if sequence in block.text
        ]
        if not found:
            return None
        position, sequence = min(found)
        _shorten(block, position)
        return sequence

    def _spend(self, block: Block) -> bool:
        """Counts a block against the limit; cuts it and returns true when it does not fit."""
        source = _spoken(block)
        tokens = self._count(source) + (_FRAME_TOKENS if block.kind != "text" else 0)
        room = max(min(self.limits.max_tokens, self.limits.window_tokens) - self.spent, 0)
        thinking = block.kind in ("thinking", "redacted_thinking")
        fits = tokens <= room
        if not fits and not thinking:
            _cut(block, source, room / tokens)
        spent = min(tokens, room)
        self.spent += spent
        self.thinking += spent if thinking else 0
        return not fits

    def _count(self, text: str) -> int:
        return scaled(self.counter.count(text), self.limits.scale)

    def _sign(self, block: Block) -> None:
        if block.kind in ("thinking", "redacted_thinking") and not block.signature:
            visible = block.text if block.kind == "thinking" else ""
            block.signature = self.signer.sign(self.tracker.here(), visible)
        self.tracker.add("assistant", canonical(content_of(block)))


def _spoken(block: Block) -> str:
    if block.kind == "text":
        return block.text
    if block.kind == "tool_use":
        return f"{block.name} {dumps_text(block.input)}"
    if block.kind == "raw":
        return dumps_text(block.raw)
    return block.hidden or block.text


def _cut(block: Block, source: str, share: float) -> None:
    keep = int(len(source) * share)
    if block.kind == "text":
        _shorten(block, keep)
    elif block.kind == "tool_use":
        block.cut = dumps_text(block.input)[: max(keep - len(block.name) - 1, 0)]


def _shorten(block: Block, length: int) -> None:
    block.text = block.text[:length]
    if block.deltas is not None:
        kept: list[str] = []
        for delta in block.deltas:
            kept.append(delta[: max(length, 0)])
            length -= len(delta)
        block.deltas = tuple(delta for delta in kept if delta)


def _natural_stop(blocks: Sequence[Block]) -> str:
    calls = any(block.kind == "tool_use" for block in blocks)
    return "tool_use" if calls else "end_turn"


def deltas_of(block: Block) -> Sequence[str]:
    """The pieces a block's text or JSON is streamed in: words, or short runs of JSON."""
    if block.deltas is not None:
        return block.deltas
    if block.kind == "tool_use":
        text = block.cut if block.cut is not None else dumps_text(block.input)
        if text == "{}":
            return ()
        return [
            text[start : start + _JSON_DELTA_CHARS]
            for start in range(0, len(text), _JSON_DELTA_CHARS)
        ]
    return _DELTA.findall(block.text)
