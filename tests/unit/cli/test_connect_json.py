"""JSON files with and without comments, changed in place."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.cli.clients import jsonc
from gateway.cli.clients.tree import Default, EditError, Records, merged

EDITS: dict[str, tuple[str, dict[str, Any], str]] = {
    "an empty file": ("", {"a": {"b": 1}}, '{\n  "a": {\n    "b": 1\n  }\n}\n'),
    "an empty object": ("{}", {"a": 1}, '{\n  "a": 1\n}'),
    "an empty object with a comment": (
        "{\n  // nothing yet\n}\n",
        {"a": 1},
        '{\n  // nothing yet\n  "a": 1\n}\n',
    ),
    "one line": ('{"x": true}', {"a": 1}, '{"x": true,\n  "a": 1\n}'),
    "a changed value": (
        '{\n  "a" :  1, // one\n  "b": 2\n}\n',
        {"a": 3},
        '{\n  "a" :  3, // one\n  "b": 2\n}\n',
    ),
    "comments and a trailing comma": (
        '// mine\n{\n    "a": {\n        "x": 1, // one\n    },\n}\n',
        {"a": {"y": [1, "z"]}},
        '// mine\n{\n    "a": {\n        "x": 1, // one\n        "y": [1, "z"],\n    },\n}\n',
    ),
    "a comment behind the last member": (
        '{\n\t"a": 1 /* one */ // 1\n}\n',
        {"b": {"c": None}},
        '{\n\t"a": 1, /* one */ // 1\n\t"b": {\n\t\t"c": null\n\t}\n}\n',
    ),
    "a null in the way": ('{"env": null}', {"env": {"A": "1"}}, '{"env": {\n  "A": "1"\n}}'),
    "text that looks like a comment": (
        '{"u": "http://x/*y*/", "v": "\\"//"}',
        {"u": "b"},
        '{"u": "b", "v": "\\"//"}',
    ),
    "the last of two equal names": ('{"a": 1, "a": 2}', {"a": 3}, '{"a": 1, "a": 3}'),
    "a default that is there": ('{"a": 1}', {"a": Default(2)}, '{"a": 1}'),
    "a default that is not": ('{\n  "b": 1\n}', {"a": Default(2)}, '{\n  "b": 1,\n  "a": 2\n}'),
    "a record that is there": (
        '{"m": [{"id": "x"}, {"id": "a", "k": 1, "own": 5}]}',
        {"m": Records("id", ({"id": "a", "k": 2},))},
        '{"m": [{"id": "x"}, {"id": "a", "k": 2, "own": 5}]}',
    ),
    "a record that is not": (
        '{\n  "m": [\n    {"id": "x"}\n  ]\n}',
        {"m": Records("id", ({"id": "a"},))},
        '{\n  "m": [\n    {"id": "x"},\n    {\n      "id": "a"\n    }\n  ]\n}',
    ),
}


@pytest.mark.parametrize("case", EDITS)
def test_only_what_changes_is_touched(case: str) -> None:
    before, wanted, after = EDITS[case]
    assert jsonc.edit(before, wanted) == after
    assert jsonc.edit(after, wanted) == after


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", 1),
        ("[]", 1),
        ('{"a": 1}\n{"b": 2}', 2),
        ('{\n"a" 1}', 2),
        ("{\n\n1: 2}", 3),
        ('{"a": tru}', 1),
        ('{"a": 01}', 1),
        ('{"a": 1 "b": 2}', 1),
        ('{"a": "x\ny"}', 1),
        ('{"a": "\\q"}', 1),
        ("// only a comment", 1),
        ("{} /* open", 1),
        ('{"a": ' + "[" * 500, 1),
    ],
)
def test_what_is_not_json_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(EditError, match=f"^line {line}: "):
        jsonc.read(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)
WANTED = st.recursive(
    OBJECTS,
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=6,
)


@given(old=OBJECTS, wanted=WANTED, compact=st.booleans())
def test_the_edited_text_says_what_the_merge_says(
    old: dict[str, Any], wanted: dict[str, Any], compact: bool
) -> None:
    text = wire.dumps_text(old) if compact else jsonc.render(old)
    assert jsonc.read(text) == old
    try:
        expected = merged(old, wanted)
    except EditError:
        return  # a list or a scalar stands where a table is wanted
    edited = jsonc.edit(text, wanted)
    assert jsonc.read(edited) == expected
    assert wire.loads(edited) == expected
    assert jsonc.edit(edited, wanted) == edited


@given(st.text(max_size=40) | st.text('{}[]:,"/*1 \n\\', max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(EditError):
        assert isinstance(jsonc.read(text), dict)
