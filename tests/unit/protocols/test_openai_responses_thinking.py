"""Thinking that travels through a client as encrypted_content, and comes back without a gap."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway import wire
from gateway.catalog.models import load_catalog
from gateway.protocols.model_fit import FitOptions, fit_to_model
from gateway.protocols.openai_responses import Recalled, Translated, translate
from gateway.protocols.openai_responses_plan import AnswerFrame, ResponseEnvelope
from gateway.protocols.shared.sealed_thinking import (
    NO_THINKING,
    SealedThinking,
    ThinkingSeal,
    advanced,
    thinking_chain,
)
from gateway.security.sealing import Sealer
from gateway.structs import replace
from tests.support.messages_stream import block, end, start, text, thinking, tool
from tests.support.responses_stream import CREATED, SEAL, request, stream_out, whole
from tests.unit.protocols.messages_rules import broken_rules

TOOLS = [
    {"type": "function", "name": "read", "parameters": {"type": "object"}},
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "go"}]},
]
REDACTED = {"type": "redacted_thinking", "data": "cmVk"}
# What Claude answers, turn after turn; signatures tell the blocks apart.
TURNS = [
    start()
    + thinking(0, "first", signature="s0")
    + text(1, "I read")
    + tool(2, "read", '{"path": "a", "n": 1.0}')
    + thinking(3, signature="s1")
    + tool(4, "patch", '{"input": "*** a"}')
    + end("tool_use"),
    start() + block(0, REDACTED) + tool(1, "ns__go") + end("tool_use"),
    start() + thinking(0, "done?", signature="s2") + text(1, "a", "b") + text(2, "c") + end(),
]


class Conversation:
    """A client that keeps every item, and what was really said upstream."""

    def __init__(self, streaming: bool = True, **fields: Any) -> None:
        self.items: list[Any] = [{"role": "user", "content": "go"}]
        self.said: list[list[Any]] = []
        self._streaming = streaming
        self._fields = {
            "tools": TOOLS,
            "store": False,
            "include": ["reasoning.encrypted_content"],
            **fields,
        }

    def request(self) -> Translated:
        """The next request as it is translated."""
        return translate(request(input=self.items, **self._fields), None, SEAL)

    def turn(self, upstream: bytes) -> Translated:
        """Sends the next request, and takes `upstream` as its answer."""
        made = self.request()
        envelope = ResponseEnvelope(f"resp_{len(self.said)}", lambda: CREATED, SEAL)
        frame = AnswerFrame(made.draft.reply, made.plan, envelope)
        if self._streaming:
            _, stream = stream_out(upstream, frame)
            output, message = stream.items, stream.message
        else:
            answered = whole(upstream, frame)
            output, message = answered.response["output"], stream_out(upstream, frame)[1].message
        self.said.append(message["content"])
        output = wire.loads(wire.dumps(output))
        self.items += output
        for item in output:
            if item["type"] in ("function_call", "custom_tool_call"):
                kind = f"{item['type']}_output"
                self.items.append({"type": kind, "call_id": item["call_id"], "output": "ok"})
        return made


def assistant_turns(made: Translated) -> list[list[Any]]:
    messages = made.draft.body["messages"]
    return [message["content"] for message in messages if message["role"] == "assistant"]


def thoughts(made: Translated) -> list[str]:
    return [
        each.get("signature") or each["data"]
        for content in assistant_turns(made)
        for each in content
        if each["type"] in ("thinking", "redacted_thinking")
    ]


def played(**fields: Any) -> Conversation:
    conversation = Conversation(**fields)
    for upstream in TURNS:
        conversation.turn(upstream)
    conversation.items.append({"role": "user", "content": "more"})
    return conversation


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("summary", [None, "auto"])
def test_p33_every_answer_comes_back_word_for_word(streaming: bool, summary: str | None) -> None:
    conversation = played(streaming=streaming, reasoning={"summary": summary})
    made = conversation.request()
    assert wire.dumps(assistant_turns(made)) == wire.dumps(conversation.said)
    assert made.thinking_models == {"claude-sonnet-5-5"}
    assert made.plan.chain == thinking_chain(made.draft.body["messages"]) != NO_THINKING
    for model in load_catalog().models.values():
        fitted = fit_to_model(made.draft, model, FitOptions(4096, show_reasoning=True))
        assert broken_rules(fitted.body, model) == []


def test_the_messages_of_each_turn_begin_those_of_the_next() -> None:
    conversation = Conversation()
    before: list[Any] = []
    for upstream in TURNS:
        now = conversation.turn(upstream).draft.body["messages"]
        assert now[: len(before)] == before
        before = now
    conversation.items.append({"role": "user", "content": "x"})
    assert conversation.request().draft.body["messages"][: len(before)] == before


def test_items_recalled_from_the_store_read_the_same() -> None:
    conversation = played()
    *earlier, newest = conversation.items
    body = request(input=[newest], tools=TOOLS, previous_response_id="resp_2")
    made = translate(body, Recalled(earlier), SEAL)
    assert made.draft.body == conversation.request().draft.body


def _without(position: int) -> Callable[[list[Any]], list[Any]]:
    def edited(items: list[Any]) -> list[Any]:
        reasoning = [index for index, item in enumerate(items) if item.get("type") == "reasoning"]
        return [item for index, item in enumerate(items) if index != reasoning[position]]

    return edited


@pytest.mark.parametrize(
    ("position", "left"),
    [(0, []), (1, ["s0"]), (2, ["s0", "s1"]), (3, ["s0", "s1", "cmVk"])],
)
def test_p32_a_lost_block_takes_the_later_ones_with_it(position: int, left: list[str]) -> None:
    conversation = played()
    conversation.items = _without(position)(conversation.items)
    assert thoughts(conversation.request()) == left


def test_thinking_written_after_a_loss_comes_back() -> None:
    conversation = played()
    conversation.items = _without(0)(conversation.items)
    conversation.turn(start() + thinking(0, "again", signature="new") + text(1, "x") + end())
    conversation.items.append({"role": "user", "content": "more"})
    assert thoughts(conversation.request()) == ["new"]


def test_changed_moved_and_repeated_blocks_stay_out() -> None:
    conversation = played()
    reasoning = [item for item in conversation.items if item.get("type") == "reasoning"]
    twice = played()
    twice.items.insert(2, twice.items[1])
    assert thoughts(twice.request()) == ["s0", "s1", "cmVk", "s2"]
    sealed = reasoning[0]["encrypted_content"]
    for changed in (sealed[:-2] + "AA", sealed[1:], "", "gAAAA-openai", "x" * 100_000):
        reasoning[0]["encrypted_content"] = changed
        assert thoughts(conversation.request()) == []
    swapped = played()
    found = [item for item in swapped.items if item.get("type") == "reasoning"]
    found[0]["encrypted_content"], found[1]["encrypted_content"] = (
        found[1]["encrypted_content"],
        found[0]["encrypted_content"],
    )
    assert thoughts(swapped.request()) == ["s0"]  # which now stands where the second one stood


def test_another_project_or_key_cannot_open_it() -> None:
    conversation = played()
    body = request(input=conversation.items, tools=TOOLS)
    other_project = ThinkingSeal(SEAL.sealer, b"reasoning:other")
    other_key = ThinkingSeal(Sealer([b"another key, also for tests"]), SEAL.context)
    for seal in (other_project, other_key, None):
        made = translate(body, None, seal)
        assert thoughts(made) == []
        assert made.draft.ignored == ["input.reasoning"]
        assert made.thinking_models == frozenset()
        assert len(assistant_turns(made)) == 3


def test_a_rotated_key_still_opens() -> None:
    conversation = played()
    keys = [b"a new key for the tests", b"a key that is used in tests only"]
    rotated = ThinkingSeal(Sealer(keys), SEAL.context)
    made = translate(request(input=conversation.items, tools=TOOLS), None, rotated)
    assert thoughts(made) == ["s0", "s1", "cmVk", "s2"]


def test_reasoning_that_led_to_nothing_is_dropped() -> None:
    conversation = Conversation()
    conversation.turn(start() + thinking(0, "hm", signature="s") + end())
    conversation.items.append({"role": "user", "content": "well?"})
    assert assistant_turns(conversation.request()) == []
    conversation.turn(TURNS[0])
    assert thoughts(conversation.request()) == ["s0", "s1"]


def test_reasoning_of_others_and_without_content_is_dropped() -> None:
    conversation = Conversation()
    conversation.items += [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "x"}]},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "openai's"},
        {"type": "message", "role": "assistant", "content": "hello"},
        {"role": "user", "content": "x"},
    ]
    made = conversation.request()
    assert assistant_turns(made) == [[{"type": "text", "text": "hello"}]]
    assert made.draft.ignored == ["input.reasoning"]


def test_messages_changed_after_the_translation_need_their_own_chain() -> None:
    """Thinking that the turn store put back is part of what the next answer is bound to."""
    block = {"type": "thinking", "thinking": "", "signature": "stored"}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "go"}]},
        {"role": "assistant", "content": [block, {"type": "text", "text": "x"}]},
        {"role": "assistant", "content": "plain"},
    ]
    plan = replace(Conversation().request().plan, chain=thinking_chain(messages))
    assert plan.chain == advanced(NO_THINKING, block)


def test_chains_tell_order_and_kind_but_not_text() -> None:
    one = {"type": "thinking", "thinking": "a", "signature": "1"}
    two = {"type": "redacted_thinking", "data": "2"}
    assert advanced(advanced("", one), two) != advanced(advanced("", two), one)
    assert advanced("", one) == advanced("", {**one, "thinking": "shown differently"})
    for other in ({"type": "text", "text": "x"}, {"type": "thinking", "thinking": "x"}):
        assert advanced("c", other) == "c"


def test_a_seal_of_another_form_is_not_read() -> None:
    sealed = SEAL.sealer.seal(wire.dumps({"form": 2}), SEAL.context)
    assert SEAL.open(sealed) is None
    block = {"type": "thinking", "thinking": "ü", "signature": "s"}
    assert SEAL.open(SEAL.seal(block, "m", "c")) == SealedThinking(block, "m", "c")
