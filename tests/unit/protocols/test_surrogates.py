"""Characters cut by UTF-16 escapes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.shared.surrogates import ends_inside_character, join_surrogates


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", ""),
        ("plain é 🙂", "plain é 🙂"),
        ("\ud83d\ude00", "😀"),
        ("a\ud83d", "a\ufffd"),
        ("\ude00b", "\ufffdb"),
        ("🙂\ud83d\ude00🙂", "🙂😀🙂"),
    ],
)
def test_halves_are_joined_or_replaced(text: str, whole: str) -> None:
    assert join_surrogates(text) == whole


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_the_result_is_always_utf8(text: str) -> None:
    assert len(join_surrogates(text).encode()) >= len(join_surrogates(text))


@pytest.mark.parametrize(("text", "inside"), [("", False), ("a", False), ("a\ud83d", True)])
def test_a_high_half_at_the_end_waits(text: str, inside: bool) -> None:
    assert ends_inside_character(text) is inside
    assert not ends_inside_character("\ude00")
