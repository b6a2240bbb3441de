"""System lines that change leave the system text, and are said behind the history instead."""

import pytest

from gateway.policies import ReductionPolicy, TextPolicy
from gateway.reduction.volatile import SystemLines, settle_system
from tests.unit.reduction.conversations import Client, long, marks, rewriter, said, text, user

PLAIN = ReductionPolicy(texts=TextPolicy(references_chat="off", references_agent="off"))
STILL = ReductionPolicy(texts=TextPolicy(references_chat="off", move_volatile_lines=False))


@pytest.mark.parametrize(
    "line",
    [
        "Current time: 2026-11-25T02:10:33Z",
        "The current date and time is 11/25/2026, 2:10:33 PM (Europe/Berlin, UTC+1:00)",
        "Date: Tue Nov 25 02:10:33 UTC 2026",
        "Now it is 25 Nov 2026 02:10.",
        "Current time is 14:05",
        "# Current Time\n2026-11-25 02:10",
    ],
)
def test_p41_a_time_of_day_is_moved(line: str) -> None:
    settled = settle_system([text(f"Be careful.\n{line}\nUse tools.")], None)
    assert settled.moved == [line.rsplit("\n", maxsplit=1)[-1]]
    assert line.rsplit("\n", maxsplit=1)[-1] not in settled.blocks[0]["text"]


@pytest.mark.parametrize(
    "line",
    [
        "Today is 2026-11-25.",
        "Meetings begin at 10:30.",
        "Use the ratio 16:9 for slides.",
        "`git log --since=2026-01-01` lists changes",
        "See src/app.py:12:34 for the error",
        "Release 2.10.33 of 2026-11-25",
    ],
)
def test_what_only_looks_like_a_clock_stays(line: str) -> None:
    blocks = [text(f"Be careful.\n{line}")]
    settled = settle_system(blocks, None)
    assert settled.blocks is blocks
    assert settled.moved == []


def test_a_line_that_changes_is_moved_from_then_on() -> None:
    first = settle_system([text("Rules.\nBranch: main\nMore rules.")], None)
    second = settle_system([text("Rules.\nBranch: topic\nMore rules.")], first.known)
    third = settle_system([text("Rules.\nBranch: topic\nMore rules.")], second.known)
    assert first.moved == []
    assert second.moved == third.moved == ["Branch: topic"]
    assert second.blocks == third.blocks == [text("Rules.\nMore rules.")]


def test_another_system_text_is_not_taken_for_changed_lines() -> None:
    one = [text("\n".join(f"one {number}" for number in range(40)))]
    other = [text("\n".join(f"other {number}" for number in range(40)))]
    settled = settle_system(other, settle_system(one, None).known)
    assert settled.blocks is other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("You are a coding assistant.", "Write a title for this conversation."),
        ("You plan.\n\nBe brief.", "You act.\n\nBe thorough."),
        ("You plan.\nBe brief.\nAsk.", "You act.\nDo it.\nAsk."),
    ],
)
def test_a_short_text_that_is_mostly_another_one_stays_whole(one: str, other: str) -> None:
    blocks = [text(other)]
    settled = settle_system(blocks, settle_system([text(one)], None).known)
    assert settled.blocks is blocks
    assert settled.moved == []


def test_a_changing_line_may_be_blank_for_a_while() -> None:
    one = settle_system([text("Rules.\nTask: a\nMore.\nThe end.")], None)
    other = settle_system([text("Rules.\nTask: b\nMore.\nThe end.")], one.known)
    blank = settle_system([text("Rules.\n\nMore.\nThe end.")], other.known)
    assert other.blocks == blank.blocks == [text("Rules.\nMore.\nThe end.")]
    assert blank.moved == []


def test_what_one_conversation_has_shown_changes_no_other() -> None:
    shared = rewriter()
    one, other = Client(PLAIN, rewriter=shared), Client(PLAIN, rewriter=shared)
    rules = long("rules", 600)
    one.send({"system": [text(f"{rules}\nBranch: main")], "messages": [user("a")]})
    topic = [text(f"{rules}\nBranch: topic")]
    moved = one.send({"system": topic, "messages": [user("a"), said("b"), user("c")]})
    assert "Branch" in str(moved["messages"])
    fresh = {"system": topic, "messages": [user("another")]}
    assert other.send(fresh) == Client(PLAIN).send(fresh)


def test_a_mark_on_a_system_text_stays_with_the_request_it_came_with() -> None:
    shared = rewriter()
    system = text(f"{long('rules', 600)}\nCurrent time: 2026-11-25T02:10:33Z")
    marked = {**system, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    Client(PLAIN, rewriter=shared).send({"system": [marked], "messages": [user("a")]})
    request = {"system": [system], "messages": [user("b")]}
    assert Client(PLAIN, rewriter=shared).send(request) == Client(PLAIN).send(request)


def test_a_block_of_nothing_but_a_clock_goes_away() -> None:
    settled = settle_system([text("Rules."), text("Current time: 2026-11-25T02:10:33Z")], None)
    assert settled.blocks == [text("Rules.")]


def test_very_long_texts_are_only_searched_for_clocks() -> None:
    huge = "\n".join(f"line {number}" for number in range(5_000))
    settled = settle_system([text(huge + "\nCurrent time: 2026-11-25T02:10Z")], SystemLines())
    assert settled.known.digests == b""
    assert len(settled.moved) == 1


def test_with_a_clock_in_the_system_text_the_history_is_still_read() -> None:
    moving, still = Client(PLAIN), Client(STILL)
    messages = [user(long("question"))]
    for number in range(3):
        clock = f"Current time: 2026-11-25T02:1{number}:00Z"
        for client in (moving, still):
            client.send(
                {"system": [text(f"{long('rules')}\n{clock}")], "messages": messages}, number
            )
        messages = [*messages, said(f"answer {number}"), user(f"question {number}")]
    systems = [[block["text"] for block in sent["system"]] for sent in moving.sent]
    assert systems[0] == systems[1] == systems[2]
    assert "02:12:00Z" in moving.sent[-1]["messages"][-1]["content"][-1]["text"]
    assert moving.reduction is not None
    assert moving.reduction.report.moved_lines == 1
    assert len({str(sent["system"]) for sent in still.sent}) == 3


def test_the_mark_at_the_end_stands_before_the_moved_line() -> None:
    client = Client(PLAIN)
    system = [text(f"{long('rules')}\nCurrent time: 2026-11-25T02:10:00Z")]
    sent = client.send({"system": system, "messages": [user(long("question"))]})
    assert len(sent["messages"][0]["content"]) == 2
    assert marks(sent)[-1] == "messages.0.0"
