"""Walks over messages go on where the request before had got to, and find the same."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.shared.digests import BlockDigests
from gateway.protocols.shared.walks import Walk
from gateway.reduction.references import _OpeningsWalk
from gateway.reduction.state import beginnings, read_calls
from gateway.reduction.texts import read_texts
from gateway.structs import field
from gateway.turns.history import Answers, read_history


class Seen(Walk):
    """A walk that notes what it was shown."""

    messages: list[Any] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)

    def go(self, messages: Any, first: int, _: BlockDigests) -> None:
        assert first == len(self.messages)
        self.messages += messages
        self.shown.append(len(messages))

    def copy(self) -> "Seen":
        return Seen(list(self.messages))  # what is shown to that one counts anew


def message(number: int) -> dict[str, Any]:
    role = "assistant" if number % 2 else "user"
    return {"role": role, "content": [{"type": "text", "text": f"message {number}"}]}


def test_only_what_follows_the_shared_messages_is_seen_again() -> None:
    messages = [message(number) for number in range(9)]
    first = BlockDigests()
    first.walks.shared = 6
    assert first.walk(messages[:7], Seen()).messages == messages[:7]
    second = BlockDigests(first)
    second.walks.shared = 8
    walk = second.walk(messages, Seen())
    assert (walk.messages, walk.shown) == (messages, [2, 1])
    third = BlockDigests(second.only(messages[:8], []))
    walk = third.walk(messages, Seen())
    assert (walk.messages, walk.shown) == (messages, [1])
    assert third.walk(messages, Seen()).messages == messages, "what is remembered stays as it was"


def test_messages_that_only_look_the_same_are_seen_again() -> None:
    messages = [message(number) for number in range(5)]
    first = BlockDigests()
    first.walks.shared = 4
    first.walk(messages, Seen())
    for others in (
        [*messages[:2], dict(messages[2]), *messages[3:]],
        messages[:3],
        [messages[1], messages[0], *messages[2:]],
        [],
    ):
        walk = BlockDigests(first).walk(others, Seen())
        assert (walk.messages, sum(walk.shown)) == (others, len(others))


TEXTS = st.sampled_from(["", "a", "[ctx 1] x", "[ctx 12", "lines\nof\ntext", "[ctx"])
CALLS = st.sampled_from(["c1", "c2", "c3"])


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Histories of users, results, systems and assistants that call, think and summarise."""
    made: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 8))):
        role = draw(st.sampled_from(["user", "assistant", "user", "system"]))
        blocks: list[dict[str, Any]] = []
        for _ in range(draw(st.integers(1, 3))):
            text, call = draw(TEXTS), draw(CALLS)
            kinds = ["text", "tool_use", "thinking"] if role == "assistant" else ["text", "result"]
            match draw(st.sampled_from(kinds)):
                case "tool_use":
                    blocks.append(
                        {"type": "tool_use", "id": call, "name": "t", "input": {"a": text}}
                    )
                case "thinking":
                    blocks.append({"type": "thinking", "thinking": text, "signature": "s"})
                case "result":
                    parts = [{"type": "text", "text": text}] * draw(st.integers(1, 2))
                    content = draw(st.sampled_from([text, parts]))
                    blocks.append({"type": "tool_result", "tool_use_id": call, "content": content})
                case _:
                    blocks.append({"type": "text", "text": text})
        made.append({"role": role, "content": blocks})
    return made


@given(histories(), st.data())
def test_every_walk_finds_the_same_behind_shared_messages(
    messages: list[dict[str, Any]], data: st.DataObject
) -> None:
    def found(digests: BlockDigests, messages: list[dict[str, Any]], before: int) -> Any:
        history = read_history({"messages": messages}, None, digests)
        fixed = {id(messages[0]["content"][-1])}
        return (
            beginnings(messages, digests),
            read_calls(messages, digests, before),
            (history.digests, history.places, history.end),
            digests.walk(messages, Answers()),
            read_texts({"messages": messages}, (), digests),
            read_texts({"messages": messages}, fixed, digests),
            digests.walk(messages, _OpeningsWalk()),
        )

    digests, shared = BlockDigests(), 0
    for end in sorted(data.draw(st.lists(st.integers(1, len(messages)), min_size=1, max_size=4))):
        digests = BlockDigests(digests)
        digests.walks.shared = data.draw(st.integers(0, end))
        before = data.draw(st.integers(0, end))
        known = found(digests, messages[:end], before)
        assert known == found(BlockDigests(), messages[:end], before)
        for text in known[4]:  # a pass may change what it is given
            text.value += "changed"
        shared = max(shared, digests.walks.shared)
        digests = digests.only(messages[:shared], [])
