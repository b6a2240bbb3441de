"""Which calls nobody will continue: what clients send beside a conversation, and what not."""

import pytest

from gateway.protocols.shared.one_shot import is_one_shot
from gateway.wire import JSONObject

DIFF = "diff --git a/app.py b/app.py\n@@ -1 +1 @@\n-print(1)\n+print(2)\n"
TOOL: JSONObject = {"name": "read", "input_schema": {"type": "object"}}


def request(user: str, system: str = "", **fields: object) -> JSONObject:
    body: JSONObject = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": user}]}],
        **fields,
    }
    if system:
        body["system"] = [{"type": "text", "text": system}]
    return body


@pytest.mark.parametrize(
    ("system", "user"),
    [
        ("You are a title generator. You output ONLY a thread title.", "debug 500 errors"),
        ("", "Generate a title for this conversation:\n"),
        ("", "### Task:\nGenerate a concise, 3-5 word title summarizing the chat history.\n"),
        ("", "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history"),
        (
            "",
            "Given the following conversation, please reply with a title for the chat that is 3-4 "
            "words in length",
        ),
        ("You are an expert software engineer that generates concise Git commit messages.", DIFF),
        ("You are an expert at writing Git commits. Your job is to write a short message.", DIFF),
        ("", f"Write a commit message for these changes:\n\n{DIFF}"),
        ("", f"{DIFF}\n\nPlease generate a commit message for the above diff."),
        ("You are a HOLE FILLER. You are provided with a file containing holes.", "def f(): {{x}}"),
        ("", "<|fim_prefix|>def add(<|fim_suffix|>\n    return a + b<|fim_middle|>"),
        (
            "Analyze if this message indicates a new conversation topic. If it does, extract a "
            "2-3 word title.",
            "fix the build",
        ),
        ("*Briefly* summarize this partial conversation about programming.", "# USER\nhi"),
        ("", "Summarize the user's primary intent or goal in this conversation in ONE sentence"),
        ("", "Classify the sentiment of this issue as bug, feature or question.\n\nIt crashes."),
        ("", "Generate an enhanced version of this prompt (reply with only the enhanced prompt)"),
        ("You complete text at a cursor. The user's message is what stands before it.", "def f("),
    ],
)
def test_what_clients_send_beside_a_conversation_is_one(system: str, user: str) -> None:
    assert is_one_shot(request(user, system), None)


@pytest.mark.parametrize(
    ("system", "user"),
    [
        ("", "Say hello"),
        ("You are a helpful assistant.", "Write a title component for the header in React"),
        ("", "Why does my commit message hook fail? It prints 'no such file'."),
        ("", "Write a function that generates commit messages from a diff"),
        ("", "Add a title generator to the sidebar"),
        ("", "Summarize what gateway/app.py does"),
        ("", "How do I classify images with torch?"),
        ("You are an expert software developer. Use best practices.", "Fix the failing test"),
        ("You are Cline, a highly skilled engineer.\n" + "x" * 9_000, "Write a commit message"),
        ("You are an AI coding agent. Suggest edits in SEARCH/REPLACE blocks.", DIFF),
        ("", "continue"),
    ],
)
def test_an_ordinary_first_turn_is_none(system: str, user: str) -> None:
    assert not is_one_shot(request(user, system), None)
    assert not is_one_shot(request(user, system), 8192)


def test_tools_and_earlier_answers_make_a_conversation() -> None:
    title = "Generate a title for this conversation"
    assert is_one_shot(request(title), None)
    assert not is_one_shot(request(title, tools=[TOOL]), None)
    assert is_one_shot(request(title, tools=[TOOL], tool_choice={"type": "none"}), None)
    answered = request(title)
    answered["messages"] = [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "hello"}]},
        *answered["messages"],
    ]
    assert not is_one_shot(answered, 10)


def test_a_tiny_answer_is_enough_and_a_small_one_needs_a_hint() -> None:
    assert is_one_shot(request("quota"), 1)
    assert not is_one_shot(request("quota"), 256)
    assert is_one_shot(request("Is this code safe? Answer yes or no."), 256)
    assert not is_one_shot(request("Is this code safe? Answer yes or no."), None)


def test_texts_of_the_messages_protocol_may_be_plain_strings() -> None:
    body: JSONObject = {
        "system": "You are a title generator.",
        "messages": [{"role": "user", "content": "hello"}],
    }
    assert is_one_shot(body, None)
    body["system"] = "You are a poet."
    assert not is_one_shot(body, None)
    assert not is_one_shot({"messages": [{"role": "user", "content": []}]}, None)
    assert not is_one_shot({"messages": []}, 1)


def test_only_the_ends_of_a_huge_prompt_count() -> None:
    order = "Generate a title for this conversation"
    assert is_one_shot(request(order + " x" * 500_000), None)
    assert is_one_shot(request("x " * 500_000 + "\n\n" + order), None)
    assert not is_one_shot(request("x " * 500_000 + "\n\n" + order + " x" * 500_000), None)
    assert not is_one_shot(request("generate " * 500_000), None)
