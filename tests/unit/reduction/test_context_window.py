"""Cuts of long conversations: rare, deep, legal, and the same on every later turn."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policies import ContextPolicy
from gateway.reduction.context_tokens import estimated_tokens
from gateway.reduction.context_window import (
    KEPT_ROUNDS,
    NO_CUTS,
    Cut,
    apply_cut,
    find_cuts,
    prune,
)
from tests.unit.reduction.conversations import Body, calls, long, result, said, text, user

LIMIT = 8_000
POLICY = ContextPolicy(max_tokens=LIMIT)


def size(messages: list[Body]) -> int:
    return sum(estimated_tokens(block) for message in messages for block in message["content"])


def agent(rounds: int, chars: int = 3_000) -> list[Body]:
    """One request of the user, then calls and results."""
    messages = [user("Mend the build.")]
    for number in range(rounds):
        messages += [calls(f"c{number}", path=f"src/{number}.py")]
        messages += [result(f"c{number}", long(f"file {number}", chars))]
    return messages


def requests(messages: list[Body]) -> list[list[Body]]:
    """What an appending client sends, request by request."""
    ends = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    return [messages[:end] for end in ends] + [messages]


def test_a_short_conversation_is_left_alone() -> None:
    messages = agent(3)
    assert prune(messages, POLICY, estimated_tokens).messages is messages
    assert find_cuts(messages, LIMIT, estimated_tokens) == NO_CUTS


def test_zero_means_never() -> None:
    messages = agent(60)
    assert prune(messages, ContextPolicy(max_tokens=0), estimated_tokens).messages is messages


def test_a_cut_leaves_about_half_and_then_the_conversation_only_grows() -> None:
    messages = agent(60)
    cuts: list[Cut | None] = []
    for request in requests(messages):
        cut = find_cuts(request, LIMIT, estimated_tokens).current
        left = prune(request, POLICY, estimated_tokens).messages
        assert size(left) <= LIMIT
        if cut is not None and (not cuts or cuts[-1] != cut):
            assert LIMIT * 0.3 < size(left) < LIMIT * 0.65
        cuts.append(cut)
    distinct = list(dict.fromkeys(cuts))
    assert 5 < len(distinct) < 16


def test_a_cut_keeps_the_task_and_declares_the_rest() -> None:
    messages = agent(30)
    pruned = prune(messages, POLICY, estimated_tokens)
    first = pruned.messages[0]
    assert pruned.cut_message == 0
    assert first["content"][0] == messages[0]["content"][0]
    assert "removed by the gateway" in first["content"][1]["text"]
    assert pruned.messages[-1] is messages[-1]
    assert pruned.removed_chars > 40_000


def test_the_place_of_a_cut_is_known_before_it_is_made() -> None:
    messages = agent(120, 1_000)
    settled: int | None = None
    made = 0
    for request in requests(messages):
        cuts = find_cuts(request, LIMIT, estimated_tokens)
        if settled is not None and cuts.current is not None and cuts.upcoming is None:
            assert cuts.current.start == settled
            made += 1
        settled = cuts.upcoming
    assert made > 3


def test_one_huge_result_does_not_cut_every_turn() -> None:
    messages = agent(4)
    messages += [calls("huge"), result("huge", "x" * 200_000)]
    for number in range(KEPT_ROUNDS - 1):
        messages += [calls(f"n{number}"), result(f"n{number}", "fine")]
        cut = find_cuts(messages, LIMIT, estimated_tokens).current
        assert cut is None or cut.start <= 9
    messages += [calls("more"), result("more", "fine"), calls("last"), result("last", "fine")]
    cut = find_cuts(messages, LIMIT, estimated_tokens).current
    assert cut is not None
    assert cut.start > 9
    assert size(prune(messages, POLICY, estimated_tokens).messages) < LIMIT


def test_a_round_that_a_person_opened_keeps_the_question() -> None:
    messages = [user("Hello.")]
    for number in range(30):
        messages += [said(long(f"answer {number}", 3_000)), user(f"Question {number}?")]
    cut = find_cuts(messages, LIMIT, estimated_tokens).current
    assert cut is not None
    assert cut.joins
    pruned = prune(messages, POLICY, estimated_tokens)
    kept = messages[cut.start]["content"][0]
    assert pruned.messages[0]["content"][-1] is kept
    assert pruned.messages[1] is messages[cut.start + 1]
    assert pruned.messages[cut.moved(cut.start + 1)] is messages[cut.start + 1]
    assert pruned.messages[cut.moved(len(messages) - 1)] is messages[-1]
    assert cut.moved(1) == 0


def test_a_system_message_behind_the_task_stays_in_its_place() -> None:
    messages = agent(30)
    note = {"role": "system", "content": [text("Answer in French.")]}
    pruned = prune([messages[0], note, *messages[1:]], POLICY, estimated_tokens)
    assert [message["role"] for message in pruned.messages[:3]] == ["user", "system", "assistant"]
    assert pruned.messages[1] is note
    assert "removed by the gateway" in pruned.messages[0]["content"][-1]["text"]


def test_thinking_from_before_the_cut_is_stripped_and_later_thinking_stays() -> None:
    thought: Body = {"type": "thinking", "thinking": "hm", "signature": "s"}
    bare = agent(40)
    messages = [
        {**message, "content": [thought, *message["content"]]}
        if message["role"] == "assistant"
        else message
        for message in bare
    ]
    assert find_cuts(messages, LIMIT, estimated_tokens) == find_cuts(bare, LIMIT, estimated_tokens)
    cut = find_cuts(bare, LIMIT, estimated_tokens).current
    assert cut is not None
    pruned = prune(messages, POLICY, estimated_tokens)
    with_thinking = [
        index
        for index, message in enumerate(pruned.messages)
        if any(block["type"] == "thinking" for block in message["content"])
    ]
    assert all(index >= cut.moved(cut.made_at) for index in with_thinking)
    later = [message for message in messages[cut.made_at :] if message["role"] == "assistant"]
    assert len(with_thinking) == len(later)


def test_an_answer_of_thinking_alone_does_not_become_empty() -> None:
    only = {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]}
    messages = [user("a"), said("b"), user("c"), only, user("d")]
    pruned = apply_cut(messages, Cut(head=1, start=3, made_at=5, joins=False), "cut")
    assert pruned.messages[1]["content"] == [text("(no answer)")]


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(["ask", "call", "calls", "system"]),
        st.integers(min_value=0, max_value=9_000),
    ),
    min_size=1,
    max_size=40,
)


def conversation(steps: list[tuple[str, int]]) -> list[Body]:
    """A legal conversation of those steps."""
    messages = [user("The task.")]
    for number, (kind, chars) in enumerate(steps):
        if kind in ("call", "calls"):
            names = [f"{number}-{each}" for each in range(2 if kind == "calls" else 1)]
            uses: list[Any] = [calls(name)["content"][0] for name in names]
            results = [result(name, "r" * chars)["content"][0] for name in names]
            messages.append({"role": "assistant", "content": uses})
            messages.append({"role": "user", "content": results})
        else:
            messages += [said("a" * (chars + 1)), user(f"question {number}")]
            if kind == "system":
                messages.append({"role": "system", "content": [text(f"note {number}")]})
    return messages


def check_legal(messages: list[Body]) -> None:
    """What the API demands of a conversation."""
    assert messages[0]["role"] == "user"
    waiting: set[str] = set()
    previous = ""
    for message in messages:
        role, content = message["role"], message["content"]
        assert content
        assert role != previous
        assert role != "system" or previous == "user"
        assert previous != "system" or role == "assistant"
        results = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        assert set(results) == waiting
        assert all(block["type"] == "tool_result" for block in content[: len(results)])
        assert all(block["text"].strip() for block in content if block["type"] == "text")
        waiting = {block["id"] for block in content if block["type"] == "tool_use"}
        previous = role


@settings(max_examples=150, deadline=None)
@given(MESSAGES)
def test_cuts_are_legal_stable_and_rare(steps: list[tuple[str, int]]) -> None:
    before: list[Body] = []
    cut_before: Cut | None = None
    cuts = 0
    total = 0
    for request in requests(conversation(steps)):
        if request[-1]["role"] == "assistant":
            continue
        cut = find_cuts(request, LIMIT, estimated_tokens).current
        left = prune(request, POLICY, estimated_tokens).messages
        check_legal(left)
        assert left[-1] is request[-1]
        if cut == cut_before:
            assert left[: len(before)] == before
        else:
            assert cut is not None
            assert cut_before is None or cut.start > cut_before.start
            cuts += 1
        before, cut_before, total = left, cut, size(request)
    assert cuts <= total / (LIMIT / 4)


@pytest.mark.parametrize("roles", ["a", "s", ""])
def test_what_is_no_conversation_is_left_alone(roles: str) -> None:
    messages = [said("x" * 90_000)] if roles == "a" else [user("x" * 90_000)]
    if roles == "s":
        messages.append({"role": "system", "content": [text("s")]})
    assert prune(messages, POLICY, estimated_tokens).messages is messages


def test_many_rounds_behind_a_long_beginning_cost_little() -> None:
    messages = [user("x" * 8 * LIMIT)]
    for _ in range(80_000):
        messages += [said("a"), user("b")]
    began = time.perf_counter()
    find_cuts(messages, LIMIT, lambda block: len(block["text"]) // 4)
    assert time.perf_counter() - began < 5
