"""Which results are the text of a file, and which clients edit files themselves."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.reduction.context_calls import read_call
from gateway.reduction.tool_kinds import load_tool_kinds

KINDS = load_tool_kinds()


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": "c", "name": name, "input": arguments}


@pytest.mark.parametrize(
    "block",
    [
        call("Read", file_path="a.py"),
        call("read_file", path="a.py"),
        call("view_file", AbsolutePath="/a.py"),
        call("mcp__filesystem__read_text_file", path="a.py"),
        call("filesystem.read_file", path="a.py"),
        call("str_replace_editor", command="view", path="/testbed/a.py"),
        call("str_replace_based_edit_tool", command="view", path="/a.py"),
        call("open", path="setup.py"),
        call("Bash", command="cat src/app.py"),
        call("bash", command="sed -n 1,200p src/app.py"),
        call("execute_bash", command="head -n 50 README.md"),
        call("exec_command", cmd="nl -ba src/app.py"),
        call("shell", command=["bash", "-lc", "cat src/app.py"]),
        call("run_commands", commands=["cat src/app.py"]),
    ],
)
def test_p43_reads_of_a_file_are_known(block: dict[str, Any]) -> None:
    assert KINDS.reads_file(block)


@pytest.mark.parametrize(
    "block",
    [
        call("Bash", command="pytest -q"),
        call("Bash", command="cat a.py | grep x"),
        call("Bash", command="cat a.py b.py"),
        call("Bash", command="cat a.py; rm a.py"),
        call("Bash", command="cat $(ls *.py)"),
        call("Bash", command="tail -f"),
        call("Bash", command="sed -i s/a/b/ a.py > out.txt"),
        call("Bash", command='cat "a.py'),
        call("Bash", command="cat a.py " + "x" * 1_000),
        call("Bash", command={"not": "text"}),
        call("str_replace_editor", command="str_replace", path="a.py"),
        call("str_replace_editor", command=["view"], path="a.py"),
        call("str_replace_editor", command={"view": True}, path="a.py"),
        call("grep_search", query="read_file"),
        call("web_fetch", url="https://example.org/read_file"),
        call("list_files", path="src"),
    ],
)
def test_everything_else_is_not(block: dict[str, Any]) -> None:
    assert not KINDS.reads_file(block)


def test_a_result_without_its_call_is_no_file() -> None:
    assert not KINDS.reads_file(None)


def test_arguments_of_a_kept_turn_are_read_from_their_text() -> None:
    block = call("bash")
    block["input"] = wire.Fragment('{"command": "cat a.py"}')
    assert KINDS.reads_file(block)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
_ARGUMENTS = st.dictionaries(
    st.sampled_from(["command", "cmd", "commands", "path", "input", "file"]), _JSON
)
_NAMES = st.sampled_from(["str_replace_editor", "bash", "read_file", "apply_patch", "grep", ""])


@given(_NAMES, _ARGUMENTS | _JSON)
def test_a_model_may_write_any_arguments(name: str, arguments: Any) -> None:
    block = {"type": "tool_use", "id": "c", "name": name, "input": arguments}
    assert KINDS.reads_file(block) in (True, False)
    assert read_call(block).kind


def test_clients_with_tools_that_edit_are_known() -> None:
    assert KINDS.has_edit_tool([{"name": "grep"}, {"name": "Edit"}])
    assert KINDS.has_edit_tool([{"name": "mcp__fs__write_file"}])
    assert not KINDS.has_edit_tool([{"name": "read_file"}, {"name": "bash"}])


def test_a_file_adds_names(tmp_path: Path) -> None:
    path = tmp_path / "kinds.toml"
    path.write_text(
        '[reads]\nnames = ["Fetch_Source"]\n[edits]\nnames = ["poke"]\n'
        '[shells]\nnames = ["console"]\ncommands = ["line"]\n'
    )
    kinds = load_tool_kinds(path)
    assert kinds.reads_file(call("fetch_source", path="a"))
    assert kinds.reads_file(call("read_file", path="a"))
    assert kinds.reads_file(call("console", line="cat a.py"))
    assert kinds.edits_files("poke")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[reads", "cannot be read: Expected"),
        ("[writes]\nnames = []", "writes is none of"),
        ('[reads]\nnames = "read"', "reads.names must be a list"),
        ('reads = ["read"]', "reads must be a table"),
        ("[shells]\ncommands = [1]", "shells.commands must be a list"),
        ("[reads]\nwhen = 1", "reads.when must be a list"),
        ('[[reads.when]]\nnames = ["x"]', "reads.when needs"),
        ('[[reads.when]]\nnames = ["x"]\nargument = "a"\nvalues = "v"', "needs lists of texts"),
        ('[[reads.when]]\nnames = [[]]\nargument = "a"\nvalues = ["v"]', "needs lists of texts"),
        ('[[reads.when]]\nnames = ["x"]\nargument = 1\nvalues = ["v"]', "must be a name"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "kinds.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_tool_kinds(path)
