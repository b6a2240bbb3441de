"""Caps cut a text in its middle, always in the same way, and say so."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.reduction.caps import cap_texts, shortened
from gateway.reduction.texts import Text, read_texts
from gateway.reduction.tool_kinds import load_tool_kinds
from tests.unit.reduction.conversations import Body, calls, long, result, text, user

KINDS = load_tool_kinds()


def capped(body: Body, system: int = 0, users: int = 0, results: int = 0) -> list[Text]:
    texts = read_texts(body)
    cap_texts(texts, (system, users, results), KINDS)
    return texts


def test_a_long_result_keeps_head_and_tail_and_says_what_is_gone() -> None:
    log = long("log", 30_000)
    body = {"messages": [user("go"), calls("c", "bash", command="make"), result("c", log)]}
    value = capped(body, results=5_000)[1].value
    first, rest = value.split("\n", 1)
    removed = int(re.findall(r"(\d+) of its", first)[0])
    assert f"of its {len(log)} characters were removed by the gateway" in first
    assert "call the tool again with a narrower range" in first
    head, tail = re.split(r"\n\[\.\.\. \d+ characters removed by the gateway \.\.\.\]\n", rest)
    assert log.startswith(head)
    assert log.endswith(tail)
    assert len(head) + len(tail) + removed == len(log)


def test_p43_a_file_that_was_read_is_left_whole() -> None:
    body = {
        "messages": [
            *(user("go"), calls("a", "read_file", path="a.py"), result("a", long("a", 30_000))),
            *(calls("b", "bash", command="cat b.py"), result("b", long("b", 30_000))),
        ]
    }
    assert not any(each.is_changed for each in capped(body, results=1_000))


def test_a_result_without_a_known_call_is_cut() -> None:
    body = {"messages": [user("go"), calls("a", "fetch_page"), result("a", long("a", 30_000))]}
    assert capped(body, results=1_000)[1].is_changed


def test_a_short_text_and_a_cap_of_nought_change_nothing() -> None:
    body = {"system": [text(long("s"))], "messages": [user(long("u")), *_read()]}
    assert not any(each.is_changed for each in capped(body))
    assert not any(each.is_changed for each in capped(body, 99_000, 99_000, 99_000))


def _read() -> list[Body]:
    return [calls("c", "bash", command="ls"), result("c", long("r"))]


def test_the_system_cap_is_for_all_blocks_together() -> None:
    body = {"system": [text(long(str(n), 10_000)) for n in range(20)], "messages": [user("go")]}
    texts = capped(body, system=15_000)
    assert not texts[0].is_changed
    assert sum(len(each.value) for each in texts) < 15_000 + 20 * 1_000


def test_texts_of_users_have_a_cap_of_their_own() -> None:
    body = {"messages": [user(long("a", 9_000), "short")]}
    first, second = capped(body, users=2_000)
    assert len(first.value) < 3_000
    assert not second.is_changed


@given(st.text(alphabet=st.sampled_from("ab \n\r\ud83dé"), max_size=6_000), st.integers(1, 6_000))
def test_a_cut_text_is_bounded_and_never_longer(value: str, chars: int) -> None:
    short = shortened(value, chars, "ask again")
    assert len(short) <= max(len(value), 1)
    assert len(short) <= max(chars, 400) + 600
    if short is not value:
        assert "removed by the gateway" in short


@given(st.integers(1_000, 9_000), st.integers(500, 4_000))
def test_what_was_cut_once_is_not_cut_again(size: int, chars: int) -> None:
    once = shortened(long("x", size), chars, "ask again")
    assert shortened(once, max(chars, len(once)), "ask again") == once


@pytest.mark.parametrize("block", [{"type": "image"}, {"type": "tool_use", "id": "c"}])
def test_nothing_but_texts_is_looked_at(block: Any) -> None:
    message = {"role": "user", "content": [{**block, "source": "x" * 9_000}]}
    assert capped({"messages": [message]}, 1, 1, 1) == []
