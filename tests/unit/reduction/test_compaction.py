"""Old results are shortened when the cache has expired, and at no other time."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.reduction.compaction import NEWEST_BLOCKS, compact, next_watermark
from gateway.reduction.texts import read_texts, write_texts
from gateway.wire import JSONObject
from tests.unit.reduction.conversations import Body, calls, long, result, said, user

FIVE_MINUTES = 300.0


def reads_file(call: JSONObject) -> bool:
    return bool(call["name"] == "read_file")


def agent(rounds: int) -> list[Body]:
    messages = [user("Mend the build.")]
    for number in range(rounds):
        name = "read_file" if number % 2 else "bash"
        messages.append(calls(f"c{number}", name, path="a.py"))
        messages.append(result(f"c{number}", long(f"output {number}", 3_000)))
    return messages


def compacted(messages: list[Body], before: int) -> list[Body]:
    body = {"messages": messages}
    texts = read_texts(body)
    compact(texts, before, reads_file)
    result_body: list[Body] = write_texts(body, texts)["messages"]
    return result_body


def shown(message: Body) -> str:
    value: str = message["content"][0]["content"][0]["text"]
    return value


def test_a_warm_cache_is_left_alone() -> None:
    assert next_watermark(3, agent(20), 299.0, FIVE_MINUTES) == 3
    assert next_watermark(3, agent(20), 300.0, FIVE_MINUTES) == 3


def test_after_the_cache_has_expired_all_but_the_newest_blocks_are_old() -> None:
    messages = agent(20)
    assert next_watermark(0, messages, 301.0, FIVE_MINUTES) == len(messages) - NEWEST_BLOCKS


def test_it_never_moves_back() -> None:
    assert next_watermark(30, agent(10), 10_000.0, FIVE_MINUTES) == 30


def test_a_short_conversation_has_nothing_old() -> None:
    assert next_watermark(0, agent(5), 10_000.0, FIVE_MINUTES) == 0


def test_results_before_the_watermark_lose_their_middle_and_say_so() -> None:
    messages = agent(4)
    left = compacted(messages, 3)
    before, after = shown(messages[2]), shown(left[2])
    removed = len(before) - 800
    assert after.startswith(before[:400] + "\n[... ")
    assert after.endswith(" ...]\n" + before[-400:])
    assert f"[... {removed} characters of this old result removed by the gateway; " in after
    assert "call the tool again if needed ...]" in after
    assert left[3:] == messages[3:]


def test_a_file_says_that_it_must_be_read_again_before_an_edit() -> None:
    left = compacted(agent(4), 9)
    assert "read the file again before you edit it" in shown(left[4])
    assert "read the file" not in shown(left[2])


def test_lines_that_tell_of_a_failure_stay() -> None:
    log = "\n".join(
        [long("compiling", 2_000), "src/a.c:3:1: error: no such thing", long("linking", 2_000)]
    )
    messages = [user("a"), calls("c", "bash", command="make"), result("c", log), said("b")]
    assert "src/a.c:3:1: error: no such thing" in shown(compacted(messages, 3)[2])
    messages[1] = calls("c", "read_file", path="a.log")
    assert "src/a.c:3:1" not in shown(compacted(messages, 3)[2])


def test_short_results_calls_and_what_people_said_stay_as_they_are() -> None:
    messages = [
        user("u" * 5_000),
        calls("c", "write_file", content="w" * 5_000),
        result("c", "r" * 1_000),
        said("s" * 5_000),
        user("v" * 5_000),
    ]
    assert compacted(messages, 5) == messages


@given(st.text(min_size=0, max_size=3_000), st.booleans())
def test_it_is_shorter_or_the_same_and_done_once_only(value: str, is_file: bool) -> None:
    name = "read_file" if is_file else "bash"
    messages = [user("a"), calls("c", name), result("c", value * 3)]
    once = compacted(messages, 3)
    assert len(shown(once[2])) <= len(value * 3)
    assert compacted(messages, 3) == once
