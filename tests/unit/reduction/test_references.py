"""References: exact forms, decoded to the byte, written once."""

import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.shared.digests import BlockDigests
from gateway.reduction.reference_notation import NOTATION, BadReferenceError
from gateway.reduction.references import (
    ReferenceCache,
    decode_references,
    encode_references,
    references_wanted,
)
from gateway.reduction.texts import read_texts, write_texts
from tests.unit.reduction.conversations import Body, calls, long, result, said, tool, user

MODES: list[Any] = ["whole", "runs"]


def conversation(*values: str) -> Body:
    """A body in which a tool returns each of these texts in turn."""
    messages = [user("go")]
    for number, value in enumerate(values):
        messages += [calls(f"c{number}"), result(f"c{number}", value)]
    return {"messages": messages}


def encoded(body: Body, mode: Any = "runs", cache: ReferenceCache | None = None) -> Body:
    texts = read_texts(body)
    encode_references(texts, mode, cache, "conversation")
    return write_texts(body, texts)


def results(body: Body) -> list[str]:
    return [text.value for text in read_texts(body) if text.kind == "tool_result"]


def numbered(lines: list[str], first: int = 1, separator: str = "→", width: int = 6) -> str:
    return "\n".join(
        f"{number:>{width}}{separator}{line}" for number, line in enumerate(lines, first)
    )


LINES = [f"    value_{number} = compute({number}, scale=True)" for number in range(40)]
FILE = "\n".join(LINES)


@pytest.mark.parametrize("mode", MODES)
def test_an_identical_text_names_the_first_copy(mode: Any) -> None:
    sent = results(encoded(conversation(FILE, "short", FILE, FILE), mode))
    assert sent == [
        f"[ctx 1]\n{FILE}",
        "short",
        "[ctx 2]\n«identical to [ctx 1]»",
        "[ctx 3]\n«identical to [ctx 1]»",
    ]


def test_off_changes_nothing() -> None:
    body = conversation(FILE, FILE)
    assert encoded(body, "off") is body


def test_a_changed_file_is_its_changed_lines_and_references() -> None:
    changed = [*LINES[:20], "    new = 1", *LINES[20:]]
    sent = results(encoded(conversation(FILE, "\n".join(changed))))[1]
    assert sent == (
        "[ctx 2]\n«lines 1-20 = lines 1-20 of [ctx 1]»\n    new = 1\n"
        "«lines 22-41 = lines 21-40 of [ctx 1]»"
    )


def test_whole_mode_leaves_a_changed_file_alone() -> None:
    changed = FILE + "\nmore"
    assert results(encoded(conversation(FILE, changed), "whole"))[1] == f"[ctx 2]\n{changed}"


@pytest.mark.parametrize("separator", ["→", "\t", ": ", "|"])
def test_numbered_lines_go_by_their_numbers(separator: str) -> None:
    first = numbered(LINES, 101, separator)
    second = numbered(["    # a comment", *LINES], 101, separator)
    sent = results(encoded(conversation(first, second)))[1].split("\n")
    assert sent[-1] == "«lines 102-141 = lines 101-140 of [ctx 1]»"


def test_bare_lines_may_stand_for_numbered_ones_but_not_the_other_way() -> None:
    bare = results(encoded(conversation(numbered(LINES, 7), FILE)))[1]
    assert bare == "[ctx 2]\n«lines 1-40 = lines 7-46 of [ctx 1], without their numbers»"
    other = results(encoded(conversation(FILE, numbered(LINES, 7))))[1]
    assert other == f"[ctx 2]\n{numbered(LINES, 7)}"


def test_another_width_of_numbers_is_sent_literally() -> None:
    sent = results(encoded(conversation(numbered(LINES, 1, width=6), numbered(LINES, 1, width=4))))
    assert "«" not in sent[1]


def test_references_never_point_at_references() -> None:
    changed = "\n".join([*LINES[:20], "    new = 1", *LINES[20:]])
    sent = results(encoded(conversation(FILE, changed, changed)))
    assert "[ctx 2]" not in sent[2]
    assert sent[2].startswith("[ctx 3]\n«lines 1-20 = lines 1-20 of [ctx 1]»")


def test_short_runs_are_not_worth_a_reference() -> None:
    few = "\n".join([*LINES[:3], *[f"other {number} {'x' * 30}" for number in range(20)]])
    assert "«" not in results(encoded(conversation(FILE, few)))[1]


def test_texts_that_hold_references_are_left_alone_and_never_a_source() -> None:
    forged = f"{FILE}\n«lines 1-2 = lines 1-2 of [ctx 1]»"
    sent = results(encoded(conversation(forged, forged, FILE)))
    assert sent == [forged, forged, f"[ctx 1]\n{FILE}"]


def test_a_text_that_begins_like_a_label_gets_one_of_ours() -> None:
    body = conversation("[ctx 9]\nnot a label", FILE)
    sent = encoded(body)
    assert results(sent)[0] == "[ctx 1]\n[ctx 9]\nnot a label"
    assert decode_references(sent) == body


@pytest.mark.parametrize(
    "reference",
    [
        "«lines 1-4 = lines 1-4 of [ctx 5]»",
        "«lines 1-400 = lines 1-400 of [ctx 1]»",
        "«lines 1-4 = lines 1-9 of [ctx 1]»",
        "«identical to [ctx 5]»",
    ],
)
def test_a_reference_to_nothing_is_an_error(reference: str) -> None:
    with pytest.raises(BadReferenceError):
        decode_references(conversation(f"[ctx 1]\n{FILE}", reference))


def test_the_notation_is_explained_where_it_pays() -> None:
    digests = BlockDigests()
    assert references_wanted({"tools": [tool()], "messages": [user("go")]}, digests)
    assert references_wanted({"messages": [user(long("file")), said("ok")]}, digests)
    assert not references_wanted({"messages": [user("hi"), said("ok"), user(long("f"))]}, digests)
    assert not references_wanted({"tools": [tool(chars=99)], "messages": [user("go")]}, digests)
    assert len(NOTATION) < 700


# --- properties ---

_JUNK = st.sampled_from(
    [
        "",
        " ",
        "\t",
        "x" * 900,
        "\r",
        "\x00\x07",
        "é→ü",
        "\ud83d",
        "[ctx 1]",
        "«",
        "»",
        "7",
        "7: ",
        "  8|",
    ]
)
_FORGED = st.sampled_from(
    [
        "[ctx 1]\nforged",
        "«identical to [ctx 2]",
        "x «lines 1-4 = lines 1-4 of [ctx 1]»",
        "«lines 1-4 = lines 1-4 of [ctx 1]» ",
        "«lines 0-0 = lines 0-0 of [ctx 0]»",
    ]
)
_POOL = [
    *LINES[:12],
    *numbered(LINES[:12], 5).split("\n"),
    *numbered(LINES[:9], 3, ": ", 3).split("\n"),
]
_LINE = st.one_of(st.sampled_from(_POOL), st.sampled_from(_POOL), _JUNK)
_RUN = st.tuples(st.integers(0, len(_POOL) - 1), st.integers(1, 20)).map(
    lambda run: "\n".join(_POOL[run[0] : run[0] + run[1]])
)
_TEXT = st.one_of(
    st.lists(st.one_of(_LINE, _RUN, _RUN), min_size=1, max_size=14).map("\n".join),
    st.lists(st.one_of(_RUN, _LINE), min_size=8, max_size=20).map("\r\n".join),
    _FORGED,
    st.text(max_size=400),
)
_TEXTS = st.lists(_TEXT, min_size=1, max_size=8)


def _is_readable(value: str) -> bool:
    """Texts that hold whole references cannot be told from ours: they are sent as they are."""
    return not any(
        line.startswith("«lines ") and line.endswith("»") for line in value.split("\n")
    ) and not (value.startswith("«identical") and value.endswith("»"))


@given(_TEXTS, st.sampled_from(MODES))
def test_what_is_sent_decodes_to_what_came(values: list[str], mode: Any) -> None:
    body = conversation(*(value for value in values if _is_readable(value)))
    assert decode_references(encoded(body, mode)) == body


@given(_TEXTS, st.sampled_from(MODES), st.integers(0, 8))
def test_p37_the_beginning_of_a_conversation_is_always_sent_alike(
    values: list[str], mode: Any, count: int
) -> None:
    whole, beginning = conversation(*values), conversation(*values[:count])
    sent = encoded(whole, mode)["messages"]
    assert sent[: len(beginning["messages"])] == encoded(beginning, mode)["messages"]


@given(_TEXTS, _TEXTS, st.integers(0, 8))
def test_the_cache_changes_nothing(values: list[str], others: list[str], count: int) -> None:
    cache = ReferenceCache(3600)
    for body in (
        conversation(*values[:count]),
        conversation(*values),
        conversation(*values[:count], *others),
        conversation(*values),
    ):
        assert encoded(body, "runs", cache) == encoded(body)


@given(_TEXTS, st.sampled_from(MODES))
def test_nothing_grows_by_more_than_its_label(values: list[str], mode: Any) -> None:
    for came, sent in zip(values, results(encoded(conversation(*values), mode)), strict=True):
        assert len(sent) <= len(came) + len("[ctx 100]\n")


@pytest.mark.parametrize("lines", [["", "", "a"], ["}"], ["x" * 9, "x" * 9, "y"]])
def test_texts_made_to_be_slow_are_not(lines: list[str]) -> None:
    hostile = "\n".join(lines * 30_000)
    almost = "\n".join([*lines * 100, "other"] * 200)
    body = conversation(hostile, almost, hostile + "\n", almost + "\nmore")
    began = time.perf_counter()
    assert decode_references(encoded(body)) == body
    assert time.perf_counter() - began < 20


def test_every_process_sends_the_same_bytes() -> None:
    script = (
        "from tests.unit.reduction.test_references import *\n"
        "import hashlib\n"
        "body = conversation(FILE, *['\\n'.join(LINES[n:] + LINES[:n]) for n in range(12)])\n"
        "print(hashlib.sha256(repr(encoded(body)).encode()).hexdigest())"
    )
    sent = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(sent) == 1
