"""Whether something was kept from the model: whole texts, references, declared cuts."""

from typing import Any

import pytest

from gateway.savings.information import DECLARED, check_information
from tests.unit.savings.bodies import Body, body, said, user

FILE = "\n".join(f"line {number} of a file" for number in range(20))


def words(value: str) -> Body:
    return {"type": "text", "text": value}


def result(content: Any, name: str = "t1") -> Body:
    return {"type": "tool_result", "tool_use_id": name, "content": content}


def call(name: str = "t1", **arguments: Any) -> Body:
    return {"type": "tool_use", "id": name, "name": "read", "input": arguments}


def plain(*texts: str) -> Body:
    return body(user(*map(words, texts)), system=[words("be brief")])


def told(before: Body, after: Body) -> tuple[int, int, int]:
    found = check_information(before, after)
    return found.hidden, found.declared, found.bad_references


def test_the_same_body_tells_everything() -> None:
    same = plain(FILE, "do it")
    found = check_information(same, same)
    assert (found.hidden, found.declared, found.bad_references) == (0, 0, 0)
    assert found.characters == len(FILE) + len("do it") + len("be brief")


def test_a_text_that_is_missing_is_hidden() -> None:
    assert told(plain(FILE, "do it"), plain(FILE)) == (4, 0, 0)  # blanks are not counted


def test_a_system_text_that_is_missing_is_hidden() -> None:
    assert told(plain(FILE), body(user(words(FILE)))) == (7, 0, 0)


@pytest.mark.parametrize(
    "sent",
    [
        "[ctx 1]\n" + FILE,  # labelled
        FILE.replace("\n", "\n\n"),  # blanks differ
    ],
)
def test_the_same_words_in_other_clothes_are_told(sent: str) -> None:
    assert told(plain(FILE), plain(sent)) == (0, 0, 0)


def test_a_reference_tells_what_it_leads_to() -> None:
    sent = plain("[ctx 1]\n" + FILE, "[ctx 2]\n«identical to [ctx 1]»")
    assert told(plain(FILE, FILE), sent) == (0, 0, 0)
    longer = FILE + "\nand one more"
    sent = plain("[ctx 1]\n" + FILE, "[ctx 2]\n«lines 1-20 = lines 1-20 of [ctx 1]»\nand one more")
    assert told(plain(FILE, longer), sent) == (0, 0, 0)


@pytest.mark.parametrize(
    "reference",
    [
        "«identical to [ctx 7]»",
        "«lines 1-20 = lines 1-20 of [ctx 7]»",
        "«lines 1-3 = lines 90-92 of [ctx 1]»",
    ],
)
def test_a_reference_that_leads_nowhere_is_bad_and_hides_its_text(reference: str) -> None:
    other = FILE.replace("line", "row")
    hidden, declared, bad = told(plain(FILE, other), plain("[ctx 1]\n" + FILE, reference))
    assert bad == 1
    assert declared == 0
    assert hidden == sum(len(line.replace(" ", "")) for line in other.split("\n"))


def test_a_reference_to_a_later_text_leads_nowhere() -> None:
    sent = plain("«identical to [ctx 1]»", "[ctx 1]\n" + FILE)
    assert told(plain("other " * 9, FILE), sent)[2] == 1


def test_a_cut_that_says_so_is_declared() -> None:
    cut = "\n".join([*FILE.split("\n")[:5], f"[... 240 characters {DECLARED} ...]"])
    hidden, declared, bad = told(plain(FILE), plain(cut))
    assert (hidden, bad) == (0, 0)
    assert declared == sum(len(line.replace(" ", "")) for line in FILE.split("\n")[5:])


def test_calls_may_go_with_their_turns_and_tools_may_not() -> None:
    tools = [{"name": "read", "input_schema": {}}]
    before = body(user(words("a")), said(call(path="a")), user(result("r")), tools=tools)
    summary = user(words("a"), words(f"[2 messages {DECLARED}]\nr"))
    assert told(before, body(summary, tools=tools)) == (0, len(b'["read",{"path":"a"}]'), 0)
    assert told(before, body(summary))[0] == len(b'{"input_schema":{},"name":"read"}')


def test_words_of_the_client_declare_nothing() -> None:
    own = f"who wrote {DECLARED}?"
    assert told(plain(FILE, own), plain(own))[:2] == (len("".join(FILE.split())), 0)


def test_a_moved_line_is_told() -> None:
    before = body(user(words("hi")), system=[words("be brief\nIt is 12:30.\nbe kind")])
    after = body(user(words("hi"), words("It is 12:30.")), system=[words("be brief\nbe kind")])
    assert told(before, after) == (0, 0, 0)


def test_calls_results_and_answers_count_and_their_ids_do_not() -> None:
    before = body(user(words("hi")), said(words("I look"), call(path="a")), user(result(FILE)))
    renamed = body(
        user(words("hi")), said(words("I look"), call("x", path="a")), user(result(FILE, "x"))
    )
    assert told(before, renamed) == (0, 0, 0)
    other = body(user(words("hi")), said(words("I look"), call(path="b")), user(result(FILE)))
    assert told(before, other)[0] > 0
    silent = body(user(words("hi")), said(call(path="a")), user(result(FILE)))
    assert told(before, silent)[0] == len("Ilook")
    blocks = body(
        user(words("hi")), said(words("I look"), call(path="a")), user(result([words(FILE)]))
    )
    assert told(before, blocks) == (0, 0, 0)


def test_tools_and_images_must_be_there_in_any_order() -> None:
    tools = [{"name": name, "input_schema": {}, "description": "d" * 50} for name in "ab"]
    image = {
        "type": "image",
        "source": {"type": "base64", "data": "QQ==", "media_type": "image/png"},
    }
    before = body(user(words("hi"), image), tools=tools)
    marked = [{**tools[1], "cache_control": {"type": "ephemeral"}}, tools[0]]
    assert told(before, body(user(words("hi"), image), tools=marked)) == (0, 0, 0)
    assert told(before, body(user(words("hi"), image), tools=tools[:1]))[0] > 50
    assert told(before, body(user(words("hi")), tools=tools))[0] > 50


def test_a_text_of_the_client_that_looks_like_a_label_is_told() -> None:
    text = "[ctx 4]\nwas what I read"
    assert told(plain(text), plain(text)) == (0, 0, 0)
