"""What is read of an opening, and that it is bounded and the same everywhere."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.scoring import score_of
from gateway.routing.task_features import TaskFeatures, newest_text, read_class, read_features
from gateway.routing.task_words import TASK_CLASSES, WORDS
from gateway.wire import JSON, JSONObject
from tests.unit.routing.router_parts import called, chat


def features(*messages: str | JSONObject, **fields: JSON) -> TaskFeatures:
    return read_features(chat(*messages, **fields).body)


@pytest.mark.parametrize(
    ("text", "task_class"),
    [
        ("Design the architecture of a queue", "architecture"),
        ("Production is down", "incident"),
        ("Is there an XSS vulnerability?", "security"),
        ("Migrate the schema to Postgres", "migration"),
        ("Refactor this class", "refactor"),
        ("Debug this crash", "debugging"),
        ("Write unit tests for the parser", "tests"),
        ("Improve the README", "docs"),
        ("Fix the typo in the title", "edit"),
        ("What does this do?", "question"),
        ("Can you see it", "question"),
        ("Make the sidebar collapsible", "feature"),
        ("", "feature"),
    ],
)
def test_the_class_is_told_by_the_words(text: str, task_class: str) -> None:
    assert features(text).task_class == task_class


def test_numbers_of_the_opening_are_counted() -> None:
    read = features(
        "Change src/a.py and lib/b.ts:\n- one\n2. two\n"
        "Traceback (most recent call last):\n```\nsecurity incident\n```",
        tools=[{"type": "function", "function": {"name": "read"}}],
    )
    assert (read.files, read.steps, read.traces, read.tools) == (2, 2, 1, 1)
    assert read.code_chars > 0
    assert "security" not in read.classes  # code is no wish
    assert features("node:\n    at f (a.js:1)\n    at g").traces == 1
    assert features("Port it from Java to Kotlin").languages == ("java", "kotlin")


def test_what_clients_add_is_not_what_the_user_wants() -> None:
    assert features("<task>\nrename f\n</task>\nsecurity outage").task_class == "edit"
    assert features("Add a flag\n\n# *SEARCH/REPLACE block* Rules:\nsecurity").classes == (
        "feature",
    )
    aside = [
        {"type": "text", "text": "rename f"},
        {"type": "text", "text": "<environment_details>\nsecurity\n</environment_details>"},
    ]
    assert features({"role": "user", "content": aside}).task_class == "edit"
    assert newest_text(chat("rename f", *called(1, "security")).body["messages"]) == "rename f"
    assert newest_text([{"role": "user", "content": "plain"}]) == "plain"
    assert newest_text([]) == ""


def test_an_architects_mode_is_heard() -> None:
    system: JSONObject = {"role": "system", "content": "You are an architect."}
    assert features(system, "Look at the repo").task_class == "architecture"


def test_little_work_scores_lower_and_much_work_higher() -> None:
    plain = score_of(features("Add a flag to the command"))
    assert score_of(features("Just add a flag to the command")).value < plain.value
    many = "Add a flag to the command in a.py, b.py, c.py, d.py, e.py, f.py and g.py"
    assert score_of(features(many)).value > plain.value
    assert score_of(features("Add a flag. " + "It should do this and that. " * 200)).value > (
        plain.value
    )


@given(st.text(max_size=3_000))
def test_any_text_has_a_class_and_a_score(text: str) -> None:
    read = features(text)
    score = score_of(read)
    assert read.task_class in TASK_CLASSES
    assert 0.0 <= score.value <= 1.0
    assert set(read.classes) <= set(TASK_CLASSES)


def test_a_long_text_counts_by_its_ends_and_its_length() -> None:
    read = features("Production is down. " + "x " * 300_000)
    assert read.task_class == "incident"
    assert read.chars > 600_000
    assert score_of(read).value <= 1.0


def test_every_process_reads_the_same() -> None:
    """Sets of words have another order in each process."""
    program = (
        "from gateway.routing.task_features import read_features as f;"
        "print(f({'messages': [{'role': 'user', 'content': 'design prod auth upgrade extract"
        " fails mock guide color add difference security outage refactor'}]}))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1


@given(st.lists(st.sampled_from([*sorted(WORDS), "the", "from", "```", "?"]), max_size=12))
def test_the_class_alone_is_that_of_the_features(words: list[str]) -> None:
    body = chat(" ".join(words)).body
    assert read_class(body) == read_features(body).task_class
