"""Conversations in the Messages form, and a client that keeps one going through the passes."""

from dataclasses import dataclass, field
from typing import Any

from gateway.catalog.models import Model, load_catalog
from gateway.policies import ReductionPolicy
from gateway.protocols.shared.digests import BlockDigests
from gateway.reduction.boilerplate import load_boilerplate
from gateway.reduction.context_cut import ContextCut, ContextCuts
from gateway.reduction.context_summary import SummaryStore
from gateway.reduction.context_tokens import estimated_tokens
from gateway.reduction.context_window import find_cuts
from gateway.reduction.reduce import Known, Reduction
from gateway.reduction.references import ReferenceCache
from gateway.reduction.rewriting import Rewriter
from gateway.reduction.state import (
    ConversationState,
    beginnings,
    choose_previous,
    dump_state,
    load_state,
    lookup_keys,
    storage_keys,
)
from gateway.reduction.tool_kinds import load_tool_kinds

Body = dict[str, Any]

SONNET: Model = load_catalog().models["claude-sonnet-5-5"]


def text(value: str) -> Body:
    return {"type": "text", "text": value}


def user(*values: str) -> Body:
    return {"role": "user", "content": [text(value) for value in values]}


def said(*values: str) -> Body:
    return {"role": "assistant", "content": [text(value) for value in values]}


def calls(identity: str, name: str = "read_file", **arguments: Any) -> Body:
    block = {"type": "tool_use", "id": identity, "name": name, "input": arguments}
    return {"role": "assistant", "content": [block]}


def result(identity: str, value: str) -> Body:
    block = {"type": "tool_result", "tool_use_id": identity, "content": [text(value)]}
    return {"role": "user", "content": [block]}


def tool(name: str = "read_file", chars: int = 3_000) -> Body:
    schema = {"type": "object", "properties": {"path": {"type": "string"}}}
    return {"name": name, "description": "d" * chars, "input_schema": schema}


def long(seed: str, chars: int = 4_000) -> str:
    """A text that no other seed gives."""
    line = f"{seed} line "
    return "\n".join(f"{line}{number}" for number in range(chars // (len(line) + 3)))


def rewriter() -> Rewriter:
    return Rewriter(ReferenceCache(3600), load_tool_kinds(), load_boilerplate())


class NoSummaries(SummaryStore):
    """Has none, and asks nobody."""

    def __init__(self) -> None:
        pass


@dataclass
class Client:
    """Sends requests of one project in order; `sent` are the upstream bodies."""

    policy: ReductionPolicy = field(default_factory=ReductionPolicy)
    model: Model = SONNET
    rewriter: Rewriter = field(default_factory=rewriter)
    states: dict[str, bytes] = field(default_factory=dict)
    sent: list[Body] = field(default_factory=list)
    last: ConversationState | None = None
    reduction: Reduction | None = None
    cuts: ContextCuts = field(default_factory=lambda: ContextCuts(NoSummaries()))

    def send(
        self,
        body: Body,
        now: float = 0.0,
        key: str | None = None,
        *,
        keeps_ids: bool = False,
        **known: Any,
    ) -> Body:
        digests = BlockDigests()
        beginning = beginnings(body["messages"], digests)
        keys = lookup_keys(beginning, key)
        if self.policy.texts.context.max_tokens:
            known["cut"] = ContextCut(
                self.cuts,
                "project",
                body["messages"],
                self.policy.texts.context,
                find_cuts(body["messages"], self.policy.texts.context.max_tokens, estimated_tokens),
            )
        stored = [self.states.get(each) for each in keys]
        found = choose_previous(
            beginning, [load_state(data) if data is not None else None for data in stored]
        )
        name = found.state.id if found.state is not None else beginning.whole.hex()
        made = Reduction(
            self.rewriter,
            self.policy,
            Known(name, now, beginning, found, **known),
            self.model,
            has_tools=bool(body.get("tools")),
        )
        rewritten = made.rewrite(made.settle(body, digests), digests, keeps_ids=keeps_ids)
        if made.instructions:
            messages = list(rewritten["messages"])
            content = [*messages[-1]["content"], *map(text, made.instructions)]
            messages[-1] = {**messages[-1], "content": content}
            rewritten = {**rewritten, "messages": messages}
        marked = made.mark(rewritten, digests)
        self.reduction = made
        self.last = made.state(0)
        for each in storage_keys(beginning, key, self.last, may_rewrite=not body.get("tools")):
            self.states[each] = dump_state(self.last)
        self.sent.append(marked)
        return marked


def marks(body: Body) -> list[str]:
    """Where the marks of a body stand: `tools.0`, `system.1`, `messages.3.0`, with `:1h`."""
    found = []
    for level in ("tools", "system"):
        for index, block in enumerate(body.get(level) or ()):
            found += _mark(block, f"{level}.{index}")
    for number, message in enumerate(body["messages"]):
        for index, block in enumerate(message["content"]):
            found += _mark(block, f"messages.{number}.{index}")
    return found


def _mark(block: Body, place: str) -> list[str]:
    mark = block.get("cache_control")
    if mark is None:
        return []
    return [place + (":1h" if mark.get("ttl") == "1h" else "")]
