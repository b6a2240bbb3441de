"""What IDEs repeat is left out; what people and files say is not touched."""

import time
from pathlib import Path

import pytest

from gateway.reduction.boilerplate import load_boilerplate
from gateway.reduction.texts import read_texts
from tests.unit.reduction.conversations import Body, calls, result, said, text, user

KNOWN = load_boilerplate()

PLAN = (
    "# Current Mode\nPLAN MODE\nIn this mode you should gather information and make a plan, and "
    "talk it over with the user before anything is changed."
)
RULES = (
    "<important_rules>\nYou are in chat mode. "
    + "Name the file of each block. " * 9
    + "</important_rules>"
)


def stripped(*messages: Body, system: str = "") -> list[str]:
    body: Body = {"messages": list(messages)}
    if system:
        body["system"] = [text(system)]
    texts = read_texts(body)
    KNOWN.strip(texts)
    return [each.value for each in texts]


def test_a_block_that_was_said_before_is_left_out_and_told() -> None:
    turn = f"Fix it.\n\n{PLAN}\n\nThanks."
    first, second = stripped(user(turn), said("ok"), user(turn))
    assert first == turn
    assert second == (
        "Fix it.\n\n[Cline plan mode: repeated word for word, removed by the gateway]\n\nThanks."
    )


def test_the_system_text_counts_as_the_first_one() -> None:
    system, asked = stripped(user(f"{RULES}\nWhy?"), system=RULES)
    assert system == RULES
    assert asked == "[Continue rules: repeated word for word, removed by the gateway]\nWhy?"


def test_a_block_that_differs_stays() -> None:
    other = PLAN.replace("plan,", "plan and tests,")
    assert stripped(user(PLAN), said("ok"), user(other)) == [PLAN, other]


def test_several_repetitions_in_one_text() -> None:
    value = stripped(user(f"{RULES}\na\n{RULES}\nb\n{RULES}"))[0]
    assert value.count("removed by the gateway") == 2
    assert value.startswith(f"{RULES}\na\n[")


MUST_STAY = [
    "You must never drop the column `id`.",
    "Error: Cannot find module 'x'\n    at Module._resolveFilename (node:internal:1)",
    "The file says: <important_rules> without an end",
    "I wrote `# Current Mode\nPLAN MODE` in the docs",
    "FAILED tests/test_app.py::test_login - AssertionError",
    "Acceptance: the response has status 201.",
    "```html\n<user_info>{{ name }}</user_info>\n```",
]


@pytest.mark.parametrize("words", MUST_STAY)
def test_what_must_stay_stays_however_often_it_is_said(words: str) -> None:
    assert all(words in value for value in stripped(user(words), said("ok"), user(words)))


def test_results_of_tools_are_never_touched() -> None:
    values = stripped(user(PLAN), calls("c"), result("c", PLAN))
    assert values == [PLAN, PLAN]


def test_long_texts_cost_little() -> None:
    hostile = user("# Current Mode\nPLAN MOD" * 20_000 + "<important_rules>" * 20_000)
    began = time.perf_counter()
    stripped(hostile, said("ok"), hostile)
    assert time.perf_counter() - began < 5


def test_a_file_adds_replaces_and_switches_off(tmp_path: Path) -> None:
    path = tmp_path / "blocks.toml"
    path.write_text(
        '[[block]]\nname = "Ours"\nstart = "<<ours"\nend = ">>"\n'
        '[[block]]\nname = "Continue rules"\noff = true\n'
    )
    names = [block.name for block in load_boilerplate(path).blocks]
    assert "Ours" in names
    assert "Continue rules" not in names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[block", "cannot be read: Expected"),
        ('block = "a"', "block must be a list of tables"),
        ('[block]\nname = "a"', "block must be a list of tables"),
        ('[[block]]\nname = "a"', "block 1 needs a start"),
        ('[[block]]\nstart = "a"', "block 1 needs a name"),
        ('[[block]]\nname = "a"\nstart = "a"\nend = 1', "the end of block 1"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "blocks.toml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        load_boilerplate(path)
