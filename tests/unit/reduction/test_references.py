"""References: every form of the notation in golden examples, and what is left alone."""

import pytest

from gateway.policies import References
from gateway.protocols.shared.digests import BlockDigests
from gateway.reduction.opening import read_opening
from gateway.reduction.references import (
    NOTATION,
    BadReferenceError,
    decode_references,
    encode_references,
    references_wanted,
)
from gateway.reduction.texts import read_texts, write_texts
from gateway.wire import JSON, JSONObject
from tests.unit.reduction.outside_reader import read_outside


def user(*texts: str) -> JSONObject:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


def assistant(text: str) -> JSONObject:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def result(content: JSON) -> JSONObject:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content}


def encoded(body: JSONObject, mode: References = "runs") -> JSONObject:
    texts = read_texts(body)
    encode_references(body, texts, mode)
    return write_texts(body, texts)


def sent(*texts: str, mode: References = "runs") -> list[str]:
    """What is sent for user texts; reads back for us and, unless it looks like one, for others."""
    body = {"messages": [user(*texts)]}
    out = encoded(body, mode)
    assert decode_references(out) == body
    values = [text.value for text in read_texts(out)]
    if not any("«" in text for text in texts):
        assert read_outside(values) == (list(texts), 0)
    return values


def code(begin: int, end: int) -> list[str]:
    """Lines of some 40 characters, which say their number in words of their own."""
    return [f"    value_{line} = compute(value, step={line})  #" for line in range(begin, end)]


def listing(begin: int, lines: list[str], form: str = "{:>6}→") -> list[str]:
    return [form.format(begin + index) + line for index, line in enumerate(lines)]


def text(*parts: list[str]) -> str:
    return "\n".join(line for part in parts for line in part)


FILE = text(code(1, 31))


def test_a_text_that_was_sent_before_is_named() -> None:
    assert sent(FILE, "and?", FILE, FILE, mode="whole") == [
        f"[ctx 1]\n{FILE}",
        "and?",
        "«identical to [ctx 1]»",
        "«identical to [ctx 1]»",
    ]
    assert sent(FILE, FILE)[1] == "«identical to [ctx 1]»"


def test_labels_count_what_is_sent_as_text() -> None:
    other = text(code(100, 120))
    assert [value[:8] for value in sent(FILE, FILE, other, mode="whole")] == [
        "[ctx 1]\n",
        "«identic",
        "[ctx 2]\n",
    ]


def test_a_new_version_of_a_file_is_its_new_lines() -> None:
    changed = text(code(1, 12), ["    # one line that is new"], code(12, 31), ["# and the end"])
    assert sent(FILE, changed)[1] == (
        "[ctx 2]\n«lines 1-11 = lines 1-11 of [ctx 1]»\n    # one line that is new\n"
        "«lines 13-31 = lines 12-30 of [ctx 1]»\n# and the end"
    )


def test_whole_leaves_near_repetitions_alone() -> None:
    assert sent(FILE, FILE + "\n", mode="whole")[1] == f"[ctx 2]\n{FILE}\n"


def test_listings_go_by_their_printed_numbers() -> None:
    before = text(listing(101, code(1, 31)))
    after = text(listing(111, code(11, 31)), ["", "(end of file)"])
    assert sent(before, after)[1] == (
        "[ctx 2]\n«lines 111-130 = lines 111-130 of [ctx 1]»\n\n(end of file)"
    )


@pytest.mark.parametrize("form", ["{:>6}→", "{:>4}\t", "{}: ", "{:>7}|"])
def test_shifted_lines_are_renumbered(form: str) -> None:
    before, after = listing(101, code(1, 31), form), listing(204, code(1, 31), form)
    assert (
        sent(text(before), text(after))[1] == "[ctx 2]\n«lines 204-233 = lines 101-130 of [ctx 1]»"
    )


def test_width_grows_with_the_number() -> None:
    before, after = listing(1, code(1, 31), "{}: "), listing(96, code(1, 31), "{}: ")
    assert sent(text(before), text(after))[1] == "[ctx 2]\n«lines 96-125 = lines 1-30 of [ctx 1]»"


def test_where_the_width_differs_the_lines_are_sent() -> None:
    before, after = listing(95, code(1, 31), "{}: "), listing(1, code(1, 31), "{}: ")
    assert sent(text(before), text(after))[1] == f"[ctx 2]\n{text(after)}"
    before, after = listing(95, code(1, 31), "{}: "), listing(105, code(1, 31), "{}: ")
    assert (
        sent(text(before), text(after))[1] == "[ctx 2]\n«lines 105-134 = lines 95-124 of [ctx 1]»"
    )


def test_where_the_separator_differs_the_lines_are_sent() -> None:
    before, after = listing(1, code(1, 31), "{:>6}→"), listing(1, code(1, 31), "{:>6}\t")
    assert sent(text(before), text(after))[1] == f"[ctx 2]\n{text(after)}"


def test_a_listing_serves_a_text_without_numbers_but_not_the_other_way() -> None:
    numbered = text(["Here it is:"], listing(101, code(1, 31)))
    assert sent(numbered, FILE)[1] == (
        "[ctx 2]\n«lines 1-30 = lines 101-130 of [ctx 1], without their numbers»"
    )
    assert sent(FILE, numbered)[1] == f"[ctx 2]\n{numbered}"


def test_only_the_first_of_lines_with_one_number_can_be_named() -> None:
    two = text(listing(1, code(1, 31)), listing(1, code(101, 131)))
    assert sent(two, text(listing(1, code(101, 131))))[1].startswith("[ctx 2]\n     1→")
    assert sent(two, text(listing(1, code(1, 31))))[1].startswith("[ctx 2]\n«lines 1-30 =")


def test_raw_lines_are_not_named_where_printed_numbers_would_be_meant() -> None:
    mixed = text(listing(31, code(101, 131)), code(1, 31))
    assert sent(mixed, FILE)[1] == f"[ctx 2]\n{FILE}"


@pytest.mark.parametrize("number", ["007", "1234567890", "٣"])
def test_nothing_refers_to_texts_with_numbers_that_may_not_be_any(number: str) -> None:
    before = text([f"{number}: x"], code(1, 31))
    assert sent(before, text(code(1, 31), ["#"]))[1].startswith("[ctx 2]\n    value_1 ")
    assert sent(before, before)[1] == "«identical to [ctx 1]»"


def test_references_never_point_at_references() -> None:
    second = text(code(50, 70), code(1, 31))
    third = text(code(60, 70), code(1, 31), ["# more"])
    assert sent(FILE, second, third)[1:] == [
        f"[ctx 2]\n{text(code(50, 70))}\n«lines 21-50 = lines 1-30 of [ctx 1]»",
        "[ctx 3]\n«lines 1-10 = lines 11-20 of [ctx 2]»\n"
        "«lines 11-40 = lines 1-30 of [ctx 1]»\n# more",
    ]
    assert sent(FILE, second, second)[2].startswith("[ctx 3]\n«lines 1-20 = lines 1-20 of [ctx 2]»")


def test_short_runs_are_sent() -> None:
    three = [line * 4 for line in code(1, 4)]
    assert sent(text(three, code(5, 30)), text(three, code(31, 60)))[1].startswith("[ctx 2]\n    v")
    short = ["}", "", "    return", "}", "", "x"]
    assert sent(text(short, code(5, 30)), text(short, code(31, 60)))[1].startswith("[ctx 2]\n}\n")


@pytest.mark.parametrize("end", ["\r", "\f", "\x0b", "\u2028", "\x85", " "])
def test_lines_end_with_a_line_feed_only(end: str) -> None:
    ended = "\n".join(line + end for line in code(1, 31))
    assert sent(ended, ended + "\n" + end)[1] == (
        f"[ctx 2]\n«lines 1-30 = lines 1-30 of [ctx 1]»\n{end}"
    )
    assert sent(ended, FILE)[1] == f"[ctx 2]\n{FILE}"


def test_texts_below_320_characters_are_left_alone() -> None:
    assert sent("x" * 319, "x" * 319, "x" * 320, "x" * 320) == [
        "x" * 319,
        "x" * 319,
        "[ctx 1]\n" + "x" * 320,
        "«identical to [ctx 1]»",
    ]


def test_off_leaves_everything_alone() -> None:
    body = {"messages": [user(FILE, FILE, "[ctx 1]\nx")]}
    assert encoded(body, "off") is body


def test_a_text_that_begins_like_a_label_gets_one_of_its_own() -> None:
    spoof = f"[ctx 1]\n{FILE}"
    assert sent(FILE, "[ctx 1]\nshort", spoof, spoof, FILE) == [
        f"[ctx 1]\n{FILE}",
        "[ctx 2]\n[ctx 1]\nshort",
        f"[ctx 3]\n{spoof}",
        f"[ctx 4]\n{spoof}",
        "«identical to [ctx 1]»",
    ]


def test_a_text_that_holds_a_reference_is_left_alone_and_is_no_source() -> None:
    reference = "«lines 1-9 = lines 1-9 of [ctx 1]»"
    holding = text(code(101, 120), [reference])
    values = sent(FILE, holding, holding, text(code(101, 120), ["#"]))
    assert values[1:3] == [holding, holding]
    assert values[3].startswith("[ctx 2]\n    value_101 ")
    quoting = text([f"> {reference}"], code(101, 120))
    assert sent(FILE, quoting)[1] == f"[ctx 2]\n{quoting}"


def test_a_text_that_is_a_reference_gets_a_label() -> None:
    same = "«identical to [ctx 1]»"
    assert sent(FILE, same)[1] == f"[ctx 2]\n{same}"
    assert sent(FILE, "[ctx 2]\n" + same)[1] == f"[ctx 2]\n[ctx 2]\n{same}"
    assert sent(FILE, same + "\n")[1] == same + "\n"


def test_results_of_tools_are_encoded_and_system_texts_are_not() -> None:
    body: JSONObject = {
        "system": [{"type": "text", "text": FILE}],
        "messages": [
            user("go"),
            {"role": "user", "content": [result(FILE), result([{"type": "text", "text": FILE}])]},
            {"role": "system", "content": [{"type": "text", "text": FILE}]},
            {"role": "user", "content": [result([{"type": "text", "text": FILE}] * 2)]},
        ],
    }
    out = encoded(body)
    assert out["system"] == body["system"]
    assert out["messages"][1]["content"] == [
        result(f"[ctx 1]\n{FILE}"),
        result([{"type": "text", "text": "«identical to [ctx 1]»"}]),
    ]
    assert out["messages"][2:] == body["messages"][2:]
    assert decode_references(out) == body


@pytest.mark.parametrize("claiming", ["assistant", "system", "several parts"])
def test_a_label_that_something_else_begins_with_is_not_used_after_it(claiming: str) -> None:
    claim: JSONObject = {"role": claiming, "content": [{"type": "text", "text": "[ctx 1]\nso"}]}
    if claiming == "several parts":
        parts = [{"type": "text", "text": part} for part in ("[ctx ", "1]\nso")]
        claim = {"role": "user", "content": [result(parts)]}
    nearly = text(code(1, 31), ["#"])
    body: JSONObject = {"messages": [user(FILE), user(FILE), claim, user(FILE), user(nearly)]}
    out = encoded(body)
    assert [text.value[:22] for text in read_texts(out) if text.kind != "system"] == [
        "[ctx 1]\n    value_1 = ",
        "«identical to [ctx 1]»",
        "[ctx 2]\n    value_1 = ",
        "[ctx 3]\n«lines 1-30 = ",
    ]
    assert "of [ctx 2]" in out["messages"][4]["content"][0]["text"]
    assert decode_references(out) == body


def test_a_label_that_was_claimed_before_is_left_out() -> None:
    body: JSONObject = {"messages": [user("go"), assistant("[ctx 2]\n"), user(FILE, FILE + "#")]}
    values = [text.value for text in read_texts(encoded(body))]
    assert [value[:8] for value in values] == ["go", "[ctx 1]\n", "[ctx 3]\n"]


def test_what_earlier_passes_left_is_encoded() -> None:
    body: JSONObject = {"messages": [user(FILE, "x")]}
    texts = read_texts(body)
    texts[1].value = FILE
    encode_references(body, texts, "whole")
    assert texts[1].value == "«identical to [ctx 1]»"


@pytest.mark.parametrize(
    "wrong",
    [
        "«identical to [ctx 2]»",
        "[ctx 2]\n«lines 1-4 = lines 1-4 of [ctx 3]»",
        "[ctx 2]\n«lines 1-4 = lines 1-5 of [ctx 1]»",
        "[ctx 2]\n«lines 4-1 = lines 4-1 of [ctx 1]»",
        "[ctx 2]\n«lines 1-4 = lines 0-3 of [ctx 1]»",
        "[ctx 2]\n«lines 1-4 = lines 28-31 of [ctx 1]»",
        f"[ctx 2]\n«lines 1-4 = lines {'1' * 5000}-4 of [ctx 1]»",
    ],
)
def test_references_that_lead_nowhere_are_refused(wrong: str) -> None:
    with pytest.raises(BadReferenceError):
        decode_references({"messages": [user(f"[ctx 1]\n{FILE}", wrong)]})


@pytest.mark.parametrize("lines", [["", "", "a"], ["}"], ["x" * 9, "x" * 9, "y"]])
def test_texts_made_to_be_slow_are_not(lines: list[str]) -> None:
    """Comparing each line with all others would take longer than a test may."""
    hostile = text(lines * 30_000)
    almost = text([*lines * 100, "other"] * 200)
    sent(hostile, almost, hostile + "\n", almost + "\nmore")


def test_listings_made_to_be_slow_are_not() -> None:
    lines = [f"line {line % 7}" for line in range(60_000)]
    before, after = text(listing(1, lines)), text(listing(1, lines, "{:>6}\t"))
    assert sent(before, after)[1] == f"[ctx 2]\n{after}"


TOOLS = [{"name": "read", "description": "d" * 2_000}]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"messages": [user("hi")]}, False),
        ({"messages": [user("x" * 1_600, "x" * 1_600)]}, False),
        ({"messages": [user("hi", "x" * 3_000)]}, True),
        ({"messages": [user("hi"), assistant("?"), user("x" * 9_000)]}, False),
        ({"messages": [user("hi")], "tools": TOOLS}, False),
        ({"messages": [user("x" * 1_000)], "tools": TOOLS}, True),
        ({"messages": [user("hi")], "tools": TOOLS, "system": user(FILE)["content"]}, True),
        ({"messages": [user("x" * 1_000)], "tools": []}, False),
    ],
)
def test_small_conversations_do_without(body: JSONObject, wanted: bool) -> None:
    assert references_wanted(read_opening(body), BlockDigests()) is wanted


def test_the_notation_is_short_says_all_forms_and_is_none_itself() -> None:
    assert len(NOTATION) <= 440  # about 110 tokens
    for form in ("[ctx N]", "«lines A-B = lines C-D of [ctx N]»", "«identical to [ctx N]»"):
        assert form in NOTATION
    assert read_outside([NOTATION]) == ([NOTATION], 0)
