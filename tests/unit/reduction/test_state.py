"""A conversation is found again by what it said, by its beginning, and by the client's own key."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.shared.digests import BlockDigests
from gateway.reduction.canonical import with_ordinal_ids
from gateway.reduction.lifetime import Pauses
from gateway.reduction.state import (
    BLOCK_BYTES,
    ConversationState,
    beginnings,
    common_blocks,
    dump_state,
    load_state,
)
from gateway.reduction.volatile import SystemLines
from gateway.structs import replace
from tests.unit.reduction.conversations import Client, calls, long, result, said, text, tool, user


def agent(count: int, ids: str = "c") -> dict[str, object]:
    messages = [user(long("task"))]
    for number in range(count):
        messages += [
            calls(f"{ids}{number}", path=str(number)),
            result(f"{ids}{number}", long(str(number))),
        ]
    return {"tools": [tool()], "system": [text("s")], "messages": messages}


def test_a_state_comes_back_as_it_was() -> None:
    state = ConversationState(
        id="a" * 32,
        at=12.5,
        setting=b"s" * 16,
        blocks=b"\n\x00" * 8,
        known_messages=3,
        question=b"q",
        requests=4,
        extended=2,
        pauses=Pauses(3, 1),
        bytes_per_token=3.25,
        passes={"references": "runs"},
        choice={"model": "m"},
        lines=SystemLines(b"l" * 4, (1, 7)),
        ordinal_ids=True,
        compacted=5,
        summary="k",
    )
    assert load_state(dump_state(state)) == state


def test_what_another_version_wrote_is_not_known() -> None:
    assert load_state(b'{"format":0}\n') is None
    assert load_state(b"\xff") is None


def test_each_request_of_an_agent_continues_the_one_before() -> None:
    client = Client()
    for count in range(5):
        client.send(agent(count), count * 400.0)
    state = client.last
    assert state is not None
    assert (state.requests, state.extended) == (5, 4)
    assert state.pauses == Pauses(4, 4)
    assert state.known_messages == 9


def test_a_first_turn_is_nobodys_continuation() -> None:
    client = Client()
    first = agent(0)
    client.send(first)
    client.send(first)
    assert client.last is not None
    assert client.last.requests == 1


def test_an_edited_history_is_still_the_same_conversation() -> None:
    client = Client()
    client.send(agent(3))
    edited = agent(3)
    edited["messages"] = [*edited["messages"][:3], said("no"), user("otherwise")]  # type: ignore[index]
    name = client.last.id if client.last else ""
    client.send(edited)
    assert client.last is not None
    assert client.last.id == name
    assert client.last.requests == 2


def test_the_clients_own_key_finds_a_conversation_that_was_compacted() -> None:
    client = Client()
    client.send(agent(3), key="session")
    name = client.last.id if client.last else ""
    client.send({"messages": [user("summary"), said("ok"), user("go on")]}, key="session")
    assert client.last is not None
    assert client.last.id == name


def test_ids_that_are_made_anew_each_time_become_ordinals() -> None:
    client = Client()
    for count in range(1, 7):
        client.send(agent(count, ids=f"request{count}_"), float(count))
    sent = client.sent[-1]["messages"]
    assert [message["content"][0]["id"] for message in sent[1::2]] == [
        f"call_{n}" for n in range(1, 7)
    ]
    assert [message["content"][0]["tool_use_id"] for message in sent[2::2]] == [
        f"call_{n}" for n in range(1, 7)
    ]
    before = client.sent[-2]["messages"]
    bare = [[{**block, "cache_control": None} for block in m["content"]] for m in before]
    now = [
        [{**block, "cache_control": None} for block in m["content"]] for m in sent[: len(before)]
    ]
    assert now == bare


def test_another_conversation_that_begins_alike_has_ids_of_its_own() -> None:
    client = Client()
    for ids in ("one_", "other_", "third_"):
        for count in range(4):
            sent = client.send(agent(count, ids=ids), float(count))
        assert sent["messages"][1]["content"][0]["id"] == f"{ids}0"


def test_stable_ids_stay() -> None:
    client = Client()
    for count in range(1, 5):
        client.send(agent(count), float(count))
    assert client.sent[-1]["messages"][1]["content"][0]["id"] == "c0"


def test_ordinals_share_what_has_no_id() -> None:
    messages = [user("a"), calls("x"), result("x", "r")]
    named = with_ordinal_ids(messages)
    assert named[0] is messages[0]
    assert named[2]["content"][0]["tool_use_id"] == named[1]["content"][0]["id"] == "call_1"


def test_a_cache_mark_is_no_content() -> None:
    digests = BlockDigests()
    marked = {**text("a"), "cache_control": {"type": "ephemeral"}}
    assert digests.of(marked) == digests.of(text("a"))
    assert digests.of(text("b")) != digests.of(text("a"))


@given(st.lists(st.sampled_from("abc"), max_size=40), st.lists(st.sampled_from("abc"), max_size=40))
def test_common_blocks_are_counted_from_the_beginning(one: list[str], other: list[str]) -> None:
    def row(values: list[str]) -> bytes:
        return b"".join(value.encode() * BLOCK_BYTES for value in values)

    expected = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        expected += 1
    assert common_blocks(row(one), row(other)) == expected


def test_the_first_line_of_questions_is_remembered_without_its_words() -> None:
    found = beginnings([user("first\nmore"), said("ok"), user("second")], BlockDigests())
    assert len(found.questions) == 2
    assert found.question in found.questions
    assert b"second" not in found.question


def test_a_measured_state_knows_the_size_of_a_token() -> None:
    client = Client()
    client.send(agent(2))
    assert client.reduction is not None
    state = client.reduction.state(prompt_tokens=1_000)
    assert state.bytes_per_token > 1
    assert replace(state, bytes_per_token=0.0) == client.last or state.id == client.last.id  # type: ignore[union-attr]


def test_p32_ids_that_stored_turns_were_found_by_are_left_alone() -> None:
    client = Client()
    for ids in ("one_", "other_"):
        for count in range(3):
            client.send(agent(count, ids=ids), keeps_ids=ids == "other_")
    sent = client.sent[-1]["messages"]
    assert [message["content"][0]["id"] for message in sent[1::2]] == ["other_0", "other_1"]
