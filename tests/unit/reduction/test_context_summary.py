"""Which summary stands for a cut, and what a model gets to summarise."""

from gateway.protocols.shared.digests import BlockDigests
from gateway.reduction.context_extract import ExtractCache, extract
from gateway.reduction.context_summary import choose_summary, declared, summary_key
from gateway.reduction.context_transcript import MOST_CHARS, request_text, transcript
from tests.unit.reduction.conversations import calls, long, result, said, user

MESSAGES = [user("a"), said("b"), user("c"), said("d")]


def key(project: str = "p", start: int = 2) -> str:
    return summary_key(project, MESSAGES, start, BlockDigests())


def test_a_key_stands_for_the_project_and_what_was_said() -> None:
    assert key() == key()
    assert len(key()) == 32
    assert len({key(), key("q"), key(start=3)}) == 3
    longer = [*MESSAGES, user("e")]
    assert summary_key("p", longer, 2, BlockDigests()) == key()


def test_a_summary_that_is_there_at_the_cut_is_used_from_then_on() -> None:
    assert choose_summary("k", None, "text") == ("text", "k")
    assert choose_summary("k", "k", "text") == ("text", "k")


def test_one_that_comes_too_late_is_not_used_any_more() -> None:
    text, record = choose_summary("k", None, None)
    assert text is None
    assert choose_summary("k", record, "text") == (None, record)


def test_one_that_is_lost_gives_way_to_the_extract_for_good() -> None:
    text, record = choose_summary("k", "k", None)
    assert text is None
    assert choose_summary("k", record, "text") == (None, record)


def test_the_next_cut_is_a_new_choice() -> None:
    _, record = choose_summary("k", None, None)
    assert choose_summary("l", record, "text") == ("text", "l")
    assert choose_summary("l", "k", None)[0] is None


def test_a_summary_declares_what_it_stands_for() -> None:
    shown = declared("What was done.", 40)
    assert shown.startswith("[... 40 earlier messages")
    assert "removed by the gateway" in shown
    assert shown.endswith("\n\nWhat was done.")


def test_a_transcript_tells_who_said_what_and_what_calls_did() -> None:
    text = transcript([user("Mend it."), calls("c", "bash", command="make"), result("c", "ok")])
    assert text.split("\n\n") == ["USER: Mend it.", 'CALL bash: {"command":"make"}', "RESULT: ok"]


def test_long_results_are_shortened_but_their_errors_stay() -> None:
    log = "\n".join([long("a", 4_000), "a.c:1:2: error: no", long("b", 4_000)])
    text = transcript([calls("c", "bash"), result("c", log)])
    assert len(text) < 3_000
    assert "a.c:1:2: error: no" in text


def test_a_huge_conversation_is_cut_to_what_a_small_model_reads_cheaply() -> None:
    messages = [user(f"start {long('u', 3_000)}")]
    for number in range(600):
        messages += [calls(f"c{number}", "bash"), result(f"c{number}", long(str(number), 9_000))]
    assert len(transcript(messages)) < MOST_CHARS
    many = [said(long(f"s{number}", 9_000)) for number in range(100)]
    assert len(transcript(many)) == MOST_CHARS


def test_the_request_says_how_long_the_summary_may_be() -> None:
    assert "at most 1000 words" in request_text("text", 6_000)


def test_extracts_are_made_once() -> None:
    cache = ExtractCache()
    removed = MESSAGES[1:3]
    first = cache.get("k", removed, 3_000)
    assert first == extract(removed, 3_000)
    assert cache.get("k", removed, 3_000) is first
    assert cache.get("k", [], 4_000) != first
