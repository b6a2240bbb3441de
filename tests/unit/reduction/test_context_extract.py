"""The labelled corpus: what must stay word for word when a conversation is cut, what may go."""

import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.policies import ContextPolicy
from gateway.reduction.context_extract import extract
from gateway.reduction.context_tokens import estimated_tokens
from gateway.reduction.context_window import prune, summary_chars
from gateway.wire import Fragment
from tests.unit.reduction.conversations import Body, long, said, text, user

CORPUS = sorted(Path(__file__).with_name("corpus").glob("*.toml"))
LIMIT = 30_000


def messages_of(turns: list[dict[str, Any]]) -> list[Body]:
    """The messages of a file of the corpus, in the Messages form."""
    messages: list[Body] = []
    for number, turn in enumerate(turns):
        if "user" in turn:
            messages.append(user(_pasted(turn["user"].strip("\n"), turn)))
            if number + 1 < len(turns) and "user" in turns[number + 1]:
                messages.append(said("Understood."))
            continue
        content = [text(turn["assistant"].strip("\n"))]
        if "call" in turn:
            arguments = dict(turn["call"])
            call = {"type": "tool_use", "id": f"toolu_{number}", "name": arguments.pop("name")}
            content.append({**call, "input": arguments})
        messages.append({"role": "assistant", "content": content})
        if "call" in turn:
            result = {"type": "tool_result", "tool_use_id": f"toolu_{number}"}
            shown = {"content": [text(turn["result"].strip("\n"))]}
            failed = {"is_error": True} if turn.get("is_error") else {}
            messages.append({"role": "user", "content": [{**result, **shown, **failed}]})
    if messages[0]["role"] == "user":
        messages = [said("Hello."), *messages]
    return messages


def _pasted(value: str, turn: dict[str, Any]) -> str:
    lines = range(turn.get("pasted_lines", 0))
    code = "\n".join(f"    value_{line} = compute({line})  # never used again" for line in lines)
    return value.replace("{pasted}", code)


def cut(part: list[Body], limit: int = LIMIT) -> str:
    """All text of a request in which `part` was cut off."""
    messages = [user("Take care of the repository."), *part]
    if messages[-1]["role"] == "user":
        messages.append(said("Right."))
    for number in range(12):
        messages += [user(f"Number {number}."), said(long(f"answer {number}", limit // 3))]
    messages.append(user("What now?"))
    pruned = prune(messages, ContextPolicy(max_tokens=limit), estimated_tokens)
    assert pruned.cut_message == 0
    assert part[-1] not in pruned.messages
    return "\n".join(
        block.get("text", "") for message in pruned.messages for block in message["content"]
    )


@pytest.mark.parametrize("file", CORPUS, ids=[file.stem for file in CORPUS])
def test_what_must_stay_stays_word_for_word(file: Path) -> None:
    turns = tomllib.loads(file.read_text("utf-8"))["turn"]
    left = cut(messages_of(turns))
    wanted = [line for turn in turns for line in turn.get("stay", [])]
    assert wanted
    assert [line for line in wanted if line not in left] == []


@pytest.mark.parametrize("file", CORPUS, ids=[file.stem for file in CORPUS])
def test_what_may_go_goes(file: Path) -> None:
    turns = tomllib.loads(file.read_text("utf-8"))["turn"]
    left = cut(messages_of(turns))
    assert [line for turn in turns for line in turn.get("go", []) if line in left] == []


def test_the_whole_corpus_at_once_fits_the_bound_of_the_default_limit() -> None:
    parts = [messages_of(tomllib.loads(file.read_text("utf-8"))["turn"]) for file in CORPUS]
    removed = [message for part in parts for message in part]
    quoted = extract(removed, summary_chars(100_000))
    assert len(quoted) <= summary_chars(100_000)
    for file in CORPUS:
        for turn in tomllib.loads(file.read_text("utf-8"))["turn"]:
            assert [line for line in turn.get("stay", []) if line not in quoted] == []


def test_under_a_tight_bound_wishes_and_errors_outlive_the_rest() -> None:
    turns = tomllib.loads(CORPUS[-2].read_text("utf-8"))["turn"]
    removed = messages_of(turns)
    for number in range(200):
        removed += [said(f"I'll use approach {number} because it is simple."), user(f"go {number}")]
    removed += [said("Done."), user("No, you must keep the old names.")]
    quoted = extract(removed, 3_000)
    assert len(quoted) <= 3_000
    assert "No, you must keep the old names." in quoted
    assert turns[0]["stay"][-1] in quoted
    assert "approach 199" in quoted
    assert "approach 3 " not in quoted
    assert "more removed by the gateway" in quoted


def test_the_newest_lines_of_a_kind_win() -> None:
    removed = [user(f"You must support version {number}.") for number in range(500)]
    quoted = extract(removed, 2_000)
    assert "version 499." in quoted
    assert "version 1." not in quoted
    assert quoted.index("version 498.") < quoted.index("version 499.")


def test_a_flood_of_errors_does_not_crowd_out_decisions() -> None:
    flood = "\n".join(f"src/a.c:{line}:1: error: bad token {line}" for line in range(3_000))
    call = {"type": "tool_use", "id": "c", "name": "bash", "input": {"command": "make"}}
    outcome = {"type": "tool_result", "tool_use_id": "c", "content": flood, "is_error": True}
    removed = [
        said("We decided to keep the old lexer."),
        user("Fine, but never drop trigraphs."),
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [outcome]},
    ]
    quoted = extract(removed, 4_000)
    assert "We decided to keep the old lexer." in quoted
    assert "Fine, but never drop trigraphs." in quoted
    assert "bad token 0" in quoted
    assert "bad token 2999" in quoted


def test_it_is_the_same_every_time_and_declared() -> None:
    turns = tomllib.loads(CORPUS[0].read_text("utf-8"))["turn"]
    removed = messages_of(turns)
    quoted = extract(removed, 5_000)
    assert quoted == extract(removed, 5_000)
    assert quoted.startswith(f"[... {len(removed)} earlier messages")
    assert "removed by the gateway" in quoted


def test_arguments_of_turns_that_were_put_back_are_read_as_well() -> None:
    call = {"type": "tool_use", "id": "c", "name": "write_file", "input": {"path": "src/a.py"}}
    kept = {**call, "input": Fragment(b'{"path":  "src/a.py"}')}
    outcome = {"type": "tool_result", "tool_use_id": "c", "content": "ok"}
    given, put_back = (
        [{"role": "assistant", "content": [each]}, {"role": "user", "content": [outcome]}]
        for each in (call, kept)
    )
    assert extract(put_back, 3_000) == extract(given, 3_000)
    assert "src/a.py" in extract(put_back, 3_000)
    assert estimated_tokens(kept) == estimated_tokens(call)


@pytest.mark.parametrize("line", ["rules " * 20_000 + ".", "rules" + " " * 120_000 + "."])
def test_lines_made_to_be_slow_are_not(line: str) -> None:
    began = time.perf_counter()
    extract([user(line), said(line)], LIMIT)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("heading", "is_one"),
    [
        ("Here are the rules:", True),
        ("v1.2 constraints", True),
        ("The rules are done. Go on:", False),
        ("Nothing here:", False),
    ],
)
def test_a_list_below_a_heading_of_wishes_is_kept(heading: str, is_one: bool) -> None:
    filler = [f"Line {number} says nothing at all" for number in range(60)]
    item = "- apples from the tree"
    pasted = "\n".join([*filler[:30], heading, item, *filler[30:]])
    assert (item in extract([user(pasted)], LIMIT)) is is_one
