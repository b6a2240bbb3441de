"""The append log: every text of the client is there, and requests only grow."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.shared.digests import BlockDigests
from gateway.reduction.append_log import continued_log
from tests.unit.reduction.conversations import Body, result, said, user


def continued(log: list[Body], messages: list[Body]) -> list[Body] | None:
    return continued_log(log, messages, BlockDigests())


def test_moved_and_changed_texts_are_appended_in_the_clients_order() -> None:
    log = [user("example"), said("ok"), user("files 1"), said("fine"), user("first")]
    now = [
        *(user("example"), said("ok"), user("first"), said("done")),
        *(user("files 2"), said("fine"), user("second")),
    ]
    assert continued(log, now) == [
        *log,
        said("done"),
        user("files 2", "second"),
    ]


def test_the_last_text_is_always_said_again() -> None:
    log = [user("again")]
    assert continued(log, [user("again"), said("ok"), user("again")]) == [
        user("again"),
        said("ok"),
        user("again"),
    ]


def test_a_text_said_twice_is_there_twice() -> None:
    log = [user("a"), said("Ok."), user("b")]
    now = [user("a"), said("Ok."), user("b"), said("Ok."), user("c")]
    assert continued(log, now) == now


def test_what_the_assistant_said_is_no_word_of_the_user() -> None:
    log = [user("begin"), said("yes"), user("b")]
    now = [user("begin"), said("no"), user("yes"), said("fine"), user("c")]
    assert continued(log, now) == [*log, said("no"), user("yes"), said("fine"), user("c")]


def test_a_log_that_outgrows_the_client_is_given_up() -> None:
    log = [user("old " * 1_000)]
    assert continued(log, [user("new"), said("ok"), user("short")]) is None


def test_tools_images_and_answers_at_the_end_are_not_for_logs() -> None:
    image = {"type": "image", "source": {}}
    assert continued([], [result("c", "r")]) is None
    assert continued([], [{"role": "user", "content": [image]}]) is None
    assert continued([], [user("a"), said("b")]) is None


_TURN = st.sampled_from(["a", "b", "c", "Ok.", "files 1", "files 2"])


@given(st.lists(st.lists(_TURN, min_size=1, max_size=9), min_size=1, max_size=5))
def test_each_request_begins_with_the_one_before_and_says_everything(
    histories: list[list[str]],
) -> None:
    log: list[Body] = []
    for history in histories:
        turns = history if len(history) % 2 else history[:-1] or history
        messages = [said(turn) if number % 2 else user(turn) for number, turn in enumerate(turns)]
        sent = continued(log, messages)
        if sent is None:
            log = messages
            continue
        before = [block for message in log for block in message["content"]]
        after = [block for message in sent for block in message["content"]]
        assert after[: len(before)] == before
        texts = [block["text"] for block in after]
        for turn in turns:
            assert texts.count(turn) >= turns.count(turn)
        assert texts[-1] == turns[-1]
        roles = [message["role"] for message in sent]
        assert all(one != other for one, other in itertools.pairwise(roles))
        log = sent
