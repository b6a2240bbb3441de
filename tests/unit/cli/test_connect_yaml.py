"""YAML files, changed in place."""

from typing import Any

import pytest

from gateway.cli.clients import yaml_text
from gateway.cli.clients.tree import Default, EditError, Records

MODEL = {"name": "G", "model": "m", "roles": Default(["chat"])}
MODELS: dict[str, Any] = {"schema": Default("v1"), "models": Records("name", (MODEL,))}
ENTRY = "name: G\n{0}model: m\n{0}roles:\n{0}- chat\n"

EDITS: dict[str, tuple[str, dict[str, Any], str]] = {
    "an empty file": ("", {"a": 1}, "a: 1\n"),
    "only comments": ("# mine", {"a": "x: y"}, "# mine\na: 'x: y'\n"),
    "a changed value keeps its comment": (
        "# top\na: 'old'   # why\n\nb: 2\n",
        {"a": "new"},
        "# top\na: new   # why\n\nb: 2\n",
    ),
    "a key without a value": ("a:\nb: 2\n", {"a": "x"}, "a: x\nb: 2\n"),
    "a new key behind everything": ("a: 1", {"b": True}, "a: 1\nb: true\n"),
    "a new key before the end mark": ("---\na: 1\n...\n", {"b": 2}, "---\na: 1\nb: 2\n...\n"),
    "a block of text": ("a: |\n  one\n  two\nb: 1\n", {"a": "x"}, "a: x\nb: 1\n"),
    "a list that is not there": (
        "name: Me\n",
        MODELS,
        "name: Me\nschema: v1\nmodels:\n- " + ENTRY.format("  "),
    ),
    "an empty list": (
        "models: []\nschema: v0\n",
        MODELS,
        "models:\n  - " + ENTRY.format("    ") + "schema: v0\n",
    ),
    "another entry, deeper": (
        "schema: v1\nmodels:\n  - name: Other # keep\n    model: o\n\n# end\nrules: [a]\n",
        MODELS,
        "schema: v1\nmodels:\n  - name: Other # keep\n    model: o\n"
        "  - " + ENTRY.format("    ") + "\n# end\nrules: [a]\n",
    ),
    "another entry, not indented": (
        "schema: v1\nmodels:\n- name: Other\n  roles:\n  - x\n  # end of it\nrules: []\n",
        MODELS,
        "schema: v1\nmodels:\n- name: Other\n  roles:\n  - x\n- "
        + ENTRY.format("  ")
        + "  # end of it\nrules: []\n",
    ),
    "our entry, edited by its user": (
        "schema: v1\nmodels:\n  - model: old\n    name: 'G'\n    roles: [chat, edit]\n    x: 1\n",
        MODELS,
        "schema: v1\nmodels:\n  - model: m\n    name: 'G'\n    roles: [chat, edit]\n    x: 1\n",
    ),
}


@pytest.mark.parametrize("case", EDITS)
def test_only_what_changes_is_touched(case: str) -> None:
    before, wanted, after = EDITS[case]
    assert yaml_text.edit(before, wanted) == after
    assert yaml_text.edit(after, wanted) == after


def test_nothing_is_added_to_what_stands_in_braces() -> None:
    with pytest.raises(EditError, match=r"line 1: .*braces"):
        yaml_text.edit("{a: 1}", {"b": 2})
    with pytest.raises(EditError, match=r"line 2: .*braces"):
        yaml_text.edit("schema: v1\nmodels: [{name: Other}]\n", MODELS)


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: [", 1), ("a: 1\nb: : 2\n", 2), ("- a\n", 1), ("a: 1\n\tb: 2\n", 2)],
)
def test_what_is_not_a_mapping_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(EditError, match=f"^line {line}: "):
        yaml_text.read(text)
