"""The text of a completion: one fence off, whitespace stops applied, the same in any pieces."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols.completion_text import CompletionText


def shown(*pieces: str, stops: tuple[str, ...] = (), fence: bool = True) -> str:
    text = CompletionText(stops, strip_fence=fence)
    return "".join(text.feed(piece) for piece in pieces) + text.finish()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("return a", "return a"),
        ("    return a\n", "    return a\n"),
        ("\n\nx", "\n\nx"),
        ("", ""),
        ("  ", "  "),
        ("```python\nreturn a\n```", "return a"),
        ("```\nreturn a\n```\n", "return a"),
        ("\n```py\n  a\n  b\n```  \n", "  a\n  b"),
        ("```python\na\n\n```", "a\n"),
        ("```\n```", ""),
        ("```\n\n```", ""),
        ("```python\na\n```\nThis adds a.", "a"),
        ("```python\na\n", "a\n"),
        ("```python\na", "a"),
        ("```python\na\n``", "a\n``"),
        ("```python\na\n```b\nc\n```", "a\n```b\nc"),
        ("```a = 1```", "```a = 1```"),
        ("```", "```"),
        ("``", "``"),
        ("a\n```python\nb\n```", "a\n```python\nb\n```"),
        ("```" + "x" * 80 + "\na\n```", "```" + "x" * 80 + "\na\n```"),
        ("```py\r\na\r\n```\r\n", "a\r"),
    ],
)
def test_one_fence_is_taken_off(said: str, expected: str) -> None:
    assert shown(said) == expected
    assert shown(*said) == expected


def test_fences_of_the_text_itself_stay() -> None:
    assert shown("```python\na\n```", fence=False) == "```python\na\n```"


@pytest.mark.parametrize(
    ("said", "stops", "expected"),
    [
        ("a b\nc", ("\n",), "a b"),
        ("a\nb\n\nc", ("\n\n",), "a\nb"),
        ("a\nb\n", ("\n\n",), "a\nb\n"),
        ("a\tb\nc", ("\n", "\t"), "a"),
        ("\nb", ("\n",), ""),
        ("```py\na\nb\n```", ("\n",), "a"),
        ("a\n\n\nb", ("\n\n\n",), "a"),
    ],
)
def test_the_text_ends_before_a_stop(said: str, stops: tuple[str, ...], expected: str) -> None:
    assert shown(said, stops=stops) == expected
    assert shown(*said, stops=stops) == expected


def test_it_is_over_at_a_stop_and_behind_the_fence() -> None:
    text = CompletionText(("\n",), strip_fence=True)
    assert (text.feed("a"), text.is_over) == ("a", False)
    assert (text.feed("b\nc"), text.is_over) == ("b", True)
    assert (text.feed("d"), text.finish()) == ("", "")
    fenced = CompletionText((), strip_fence=True)
    assert (fenced.feed("```\na\n```"), fenced.is_over) == ("a", False)
    assert (fenced.feed("\n"), fenced.is_over) == ("", True)


def test_as_little_as_possible_is_held_back() -> None:
    text = CompletionText(("\n\n",), strip_fence=True)
    assert text.feed("return") == "return"
    assert text.feed(" a\n") == " a"
    assert text.feed("b") == "\nb"
    fenced = CompletionText((), strip_fence=True)
    assert fenced.feed("``") == ""
    assert fenced.feed("`py\nab") == "ab"
    assert fenced.feed("c\nd") == "c\nd"
    assert fenced.feed("\n``") == ""
    assert fenced.feed("x") == "\n``x"


_texts = st.lists(
    st.sampled_from(["```", "`", "\n", "\n\n", " ", "a", "py", "```py\n", "\n```", "\r\n", "\t"]),
    max_size=14,
).map("".join)


@settings(max_examples=500, deadline=None)
@given(
    _texts,
    st.lists(st.integers(0, 40), max_size=6),
    st.sampled_from([(), ("\n",), ("\n\n", "\t"), (" \n",)]),
)
def test_the_pieces_do_not_matter(said: str, cuts: list[int], stops: tuple[str, ...]) -> None:
    edges = sorted({0, len(said), *(min(cut, len(said)) for cut in cuts)})
    pieces = [said[a:b] for a, b in itertools.pairwise(edges)]
    whole = shown(said, stops=stops)
    assert shown(*pieces, stops=stops) == whole
    assert not any(stop in whole for stop in stops)
