"""The policy on diffs goes to conversations about code whose client has no way of its own."""

from typing import Any

import pytest

from gateway.reduction.diff_policy import DIFF_POLICY, wants_diff_policy
from gateway.reduction.opening import read_opening
from gateway.reduction.tool_kinds import load_tool_kinds
from tests.unit.reduction.conversations import Client, said, text, user

KINDS = load_tool_kinds()
CODE = "Make it faster:\n```python\ndef f(x):\n    return sorted(x)[0]\n```"


def wanted(question: str, system: str = "", tools: tuple[str, ...] = ()) -> bool:
    body: dict[str, Any] = {"messages": [user(question)], "tools": [{"name": n} for n in tools]}
    if system:
        body["system"] = [text(system)]
    return wants_diff_policy(read_opening(body), KINDS)


@pytest.mark.parametrize("tools", [(), ("read_file",), ("grep", "web_search")])
def test_code_without_tools_that_edit(tools: tuple[str, ...]) -> None:
    assert wanted(CODE, "You are a helpful assistant.", tools)


@pytest.mark.parametrize(
    ("question", "system"),
    [
        (CODE, "Answer with *SEARCH/REPLACE* blocks."),
        (CODE, "Return the whole file each time."),
        (CODE, "Use placeholders such as // ... existing code ... for what stays."),
        (CODE, "Respond only with valid JSON."),
        (CODE + "\nGive me the complete file.", ""),
        (CODE + "\nReply only with the code.", ""),
        ("Write a commit message for:\n```\ndiff --git a b\n```", ""),
        ("Find a title for this:\n```python\nx = 1\n```", ""),
        ("What is a monad?", "You are a coding assistant."),
    ],
)
def test_not_where_another_form_is_wanted_or_no_code_is_there(question: str, system: str) -> None:
    assert not wanted(question, system)


def test_not_for_clients_that_edit_themselves() -> None:
    assert not wanted(CODE, tools=("edit_file",))


def test_words_inside_the_code_wish_for_nothing() -> None:
    assert wanted("Why?\n```python\ndef title():\n    'only return valid JSON'\n```")


def test_it_stands_once_and_on_every_turn_alike() -> None:
    client = Client()
    messages = [user(CODE)]
    for number in range(3):
        client.send({"messages": messages}, float(number))
        messages = [*messages, said("done"), user("Respond only with JSON now.")]
    systems = [sent["system"] for sent in client.sent]
    assert systems[0] == systems[1] == systems[2]
    assert str(systems[0]).count(DIFF_POLICY) == 1
