"""Marks stand where the next request can read, and nowhere else."""

from typing import Any

import pytest

from gateway.catalog.models import load_catalog
from gateway.policies import CachePolicy, ReductionPolicy, TextPolicy
from gateway.reduction.cache_plan import without_marks
from gateway.structs import replace
from tests.unit.reduction.conversations import (
    Body,
    Client,
    calls,
    long,
    marks,
    result,
    said,
    text,
    tool,
    user,
)

PLAIN = ReductionPolicy(texts=TextPolicy(references_chat="off", references_agent="off"))
SYSTEM = [text(long("system"))]


def body(messages: list[Body], **fields: Any) -> Body:
    return {"system": SYSTEM, "tools": [tool()], "messages": messages, **fields}


def agent_turns(count: int) -> list[Body]:
    messages = [user(long("task"))]
    for number in range(count):
        messages += [
            calls(f"c{number}", path=str(number)),
            result(f"c{number}", long(f"r{number}")),
        ]
    return messages


def test_a_first_request_is_marked_at_tools_system_and_its_end() -> None:
    assert marks(Client(PLAIN).send(body([user(long("task"))]))) == [
        "tools.0",
        "system.0",
        "messages.0.0",
    ]


def test_an_agent_is_marked_where_it_ended_before_and_where_it_ends_now() -> None:
    client = Client(PLAIN)
    client.send(body(agent_turns(1)))
    assert marks(client.send(body(agent_turns(2)), 8.0)) == [
        "tools.0",
        "system.0",
        "messages.2.0",
        "messages.4.0",
    ]


def test_without_its_state_the_end_of_the_last_request_is_found_in_the_history() -> None:
    assert marks(Client(PLAIN).send(body(agent_turns(3)))) == [
        "tools.0",
        "system.0",
        "messages.4.0",
        "messages.6.0",
    ]


def test_p42_a_client_that_rewrites_gets_no_mark_at_its_end() -> None:
    client = Client(PLAIN)
    start = [user(long("examples")), said("ok")]
    for number in range(4):
        turn = [user(long(f"files {number}")), said("ok"), user(long(f"question {number}"))]
        sent = client.send({"system": SYSTEM, "messages": [*start, *turn]}, number * 30.0)
    assert marks(sent) == ["system.0", "messages.1.0"]


def test_one_edit_of_a_long_conversation_does_not_make_its_client_a_rewriter() -> None:
    client = Client(PLAIN)
    for count in range(1, 6):
        client.send(body(agent_turns(count)), count * 9.0)
    edited = [user(long("another task")), *agent_turns(5)[1:]]
    client.send(body(edited), 60.0, key="session")
    assert "messages.10.0" in marks(client.sent[-1])


def test_p42_one_shot_calls_are_not_marked() -> None:
    assert marks(Client(PLAIN).send(body([user(long("title"))]), one_shot=True)) == []


def test_what_is_shorter_than_the_models_minimum_is_not_marked() -> None:
    short = {"system": [text("Be brief.")], "tools": [tool(chars=50)], "messages": [user("hello")]}
    assert marks(Client(PLAIN).send(short)) == []
    opus = load_catalog().models["claude-opus-4-6"]  # 4,096 tokens, where Sonnet 5.5 has 512
    assert marks(Client(PLAIN, model=opus).send(body([user("go")]))) == []
    assert marks(Client(PLAIN).send(body([user("go")])))


def test_p35_thinking_and_blank_text_are_never_marked() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    ending = {"role": "user", "content": [text(long("question")), text(" ")]}
    messages = [
        user(long("task")),
        {"role": "assistant", "content": [text("so"), thinking]},
        ending,
    ]
    client = Client(PLAIN)
    client.send(body(messages[:2]))
    assert marks(client.send(body(messages)))[-2:] == ["messages.1.0", "messages.2.0"]


@pytest.mark.parametrize("count", range(5))
def test_p38_never_more_than_four_with_the_clients_own(count: int) -> None:
    messages = agent_turns(6)
    for number in range(count):
        block = messages[2 * number + 2]["content"][0]
        block["cache_control"] = {"type": "ephemeral"}
    sent = marks(Client(PLAIN).send(body(messages)))
    assert len(sent) == 4
    assert len([each for each in sent if each.startswith("messages")]) >= count


def test_p36_the_clients_marks_stay_with_their_lifetime() -> None:
    messages = agent_turns(3)
    messages[2]["content"][0]["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
    sent = marks(Client(PLAIN).send(body(messages)))
    assert sent == ["system.0:1h", "messages.2.0:1h", "messages.4.0", "messages.6.0"]


def test_an_hour_never_stands_behind_five_minutes() -> None:
    policy = replace(PLAIN, cache=CachePolicy(lifetime="1h"))
    messages = agent_turns(3)
    messages[2]["content"][0]["cache_control"] = {"type": "ephemeral"}
    sent = marks(Client(policy).send(body(messages)))
    assert sent == ["system.0:1h", "messages.2.0", "messages.4.0", "messages.6.0"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("keep", ["messages.0.0"]),
        ("replace", ["tools.0", "system.0", "messages.2.0", "messages.4.0"]),
    ],
)
def test_a_project_may_keep_or_replace_the_clients_marks(mode: Any, expected: list[str]) -> None:
    messages = agent_turns(2)
    messages[0]["content"][0]["cache_control"] = {"type": "ephemeral"}
    policy = replace(PLAIN, cache=CachePolicy(client_marks=mode))
    assert marks(Client(policy).send(body(messages))) == expected


def test_a_client_may_want_no_marks_but_its_own() -> None:
    assert marks(Client(PLAIN).send(body(agent_turns(2)), cache_explicit=True)) == []


def test_switched_off_or_held_out_nothing_is_marked() -> None:
    off = replace(PLAIN, cache=CachePolicy(enabled=False))
    assert marks(Client(off).send(body(agent_turns(2)))) == []
    assert marks(Client(PLAIN).send(body(agent_turns(2)), held_out=True)) == []


def test_marks_change_nothing_else_and_share_what_they_can() -> None:
    asked = body(agent_turns(4))
    sent = Client(PLAIN).send(asked)
    assert sent["messages"][1] is asked["messages"][1]
    assert marks(asked) == []


def test_a_person_who_comes_back_after_minutes_gets_the_longer_lifetime() -> None:
    client = Client(PLAIN)
    messages: list[Body] = []
    now = 0.0
    lifetimes = []
    for number in range(8):
        messages = [*messages, user(long(f"question {number}", 3_000))]
        sent = client.send({"system": SYSTEM, "messages": messages}, now)
        lifetimes.append(any(":1h" in each for each in marks(sent)))
        messages = [*messages, said(long(f"answer {number}", 2_000))]
        now += 900.0
    assert not lifetimes[0]
    assert lifetimes[-1]


def test_an_agent_without_pauses_stays_with_five_minutes() -> None:
    client = Client(PLAIN)
    for count in range(1, 30):
        sent = client.send(body(agent_turns(count)), count * 8.0)
    assert not any(":1h" in each for each in marks(sent))


def test_the_client_can_wish_for_an_hour() -> None:
    sent = Client(PLAIN).send(body([user(long("task"))]), cache_ttl="1h")
    assert all(":1h" in each for each in marks(sent))


def test_a_client_whose_tools_change_each_time_is_not_written_for() -> None:
    client = Client(PLAIN)
    for count in range(1, 6):
        changing = {**body(agent_turns(count)), "tools": [tool(f"tool_{count}")]}
        sent = client.send(changing, count * 9.0)
    assert marks(sent) == []


def test_tools_that_change_once_cost_one_turn() -> None:
    client = Client(PLAIN)
    for count in range(1, 4):
        client.send(body(agent_turns(count)), count * 9.0)
    changed = {"system": SYSTEM, "tools": [tool("other")]}
    sent = client.send({**changed, "messages": agent_turns(4)}, 40.0)
    assert marks(sent) == ["tools.0", "system.0", "messages.8.0"]
    after = client.send({**changed, "messages": agent_turns(5)}, 50.0)
    assert marks(after) == ["tools.0", "system.0", "messages.8.0", "messages.10.0"]


def test_without_marks_a_message_that_carries_none_is_the_same_object() -> None:
    marked = {**text("a"), "cache_control": {"type": "ephemeral"}}
    messages = [{"role": "user", "content": [marked]}, said("ok"), user("b")]
    bare = without_marks({"messages": messages})["messages"]
    assert bare == [user("a"), said("ok"), user("b")]
    assert bare[1] is messages[1]
    assert bare[2] is messages[2]
