"""What may be put back into a history, and what must not."""

import copy
from dataclasses import replace

import pytest

from gateway import wire
from gateway.protocols.messages_form import text_block
from gateway.turns.turn import Turn
from tests.support.pure_session import PureSession

OLDER = "claude-opus-4-6"  # binds no thinking to its conversation


def session_of(*shapes: str, model: str = "claude-sonnet-5-5") -> PureSession:
    session = PureSession(model=model)
    for number, shape in enumerate(shapes):
        session.turn(shape, text=f"task {number}")
    return session


def next_body(session: PureSession) -> list[str]:
    """The thinking of the next request, which the API takes."""
    last = session.messages[-1]["content"]
    if any(block["type"] == "tool_use" for block in last):
        session.results()
    else:
        session.user("and now")
    session.send()
    assert session.faults() == []
    return session.thinking()


@pytest.mark.parametrize("model", ["claude-sonnet-5-5", "claude-opus-5-5", OLDER])
def test_p32_all_thinking_of_a_tool_session_comes_back(model: str) -> None:
    session = session_of("txc", "tc", "rtxcc", "tx", "tc", "tx", model=model)
    assert len(next_body(session)) == 7
    assert session.sendings[-1].restored.thinking_kept


def test_p33_redacted_and_empty_signed_blocks_are_put_back_as_they_were() -> None:
    session = session_of("rc", "rtrx")
    next_body(session)
    kinds = [block["type"] for block in session.bodies[-1]["messages"][3]["content"]]
    assert kinds == ["redacted_thinking", "thinking", "redacted_thinking", "text"]


def test_interleaved_thinking_keeps_its_places() -> None:
    session = session_of("txtxtc", "tx")
    next_body(session)
    kinds = [block["type"] for block in session.bodies[-1]["messages"][1]["content"]]
    assert kinds == ["thinking", "text", "thinking", "text", "thinking", "tool_use"]


def test_arguments_come_back_byte_for_byte() -> None:
    session = session_of("tc")
    next_body(session)
    call = session.bodies[-1]["messages"][1]["content"][1]
    assert b'"n": 1.0, "deep": {"b": 1, "a": [1e2]}' in wire.dumps(call)


def test_a_text_only_turn_is_found_by_where_it_stands() -> None:
    session = session_of("tx", "tx", "tc")
    assert len(next_body(session)) == 3


def test_a_client_that_trims_and_rewrites_numbers_has_changed_nothing() -> None:
    session = session_of("txtxc", "tx")
    for message in session.messages:
        for block in message["content"]:
            if block["type"] == "text" and message["role"] == "assistant":
                block["text"] = f"  {block['text']} \n".replace("\n\n", " ")
            if block["type"] == "tool_use":
                block["input"] = dict(reversed(block["input"].items()), n=1)
    assert len(next_body(session)) == 3


def test_an_edited_question_takes_the_thinking_behind_it_along() -> None:
    session = session_of("tx", "tc", "tx", "tc")
    session.messages[2]["content"] = [text_block("another task")]
    assert len(next_body(session)) == 1
    assert session.sendings[-1].restored.reason == "changed"


@pytest.mark.parametrize("edited", [1, 3, 5])
def test_an_edited_answer_goes_without_thinking_and_so_do_later_ones(edited: int) -> None:
    session = session_of("tx", "tx", "tx", "tx")
    session.messages[edited]["content"] = [text_block("not what was said")]
    assert len(next_body(session)) == edited // 2


def test_changed_arguments_are_not_overwritten() -> None:
    session = session_of("tc", "tx")
    session.messages[1]["content"][0]["input"]["path"] = "mine.py"
    assert next_body(session) == []
    assert session.bodies[-1]["messages"][1]["content"][0]["input"]["path"] == "mine.py"


def test_p34_a_changed_system_prompt_strips_bound_thinking_only() -> None:
    for model, expected in (("claude-opus-5-5", 0), (OLDER, 2)):
        session = session_of("tc", "tx", model=model)
        session.system = "You are somebody else."
        assert len(next_body(session)) == expected


def test_after_a_change_new_thinking_is_kept_again() -> None:
    session = session_of("tc", "tx")
    session.system = "You are somebody else."
    session.turn("tc", text="go on")
    assert session.thinking() == []
    session.turn("tc")
    assert len(session.thinking()) == 1
    assert len(next_body(session)) == 2


def test_a_lost_turn_takes_later_ones_along_until_new_ones_follow() -> None:
    session = session_of("tc", "tc", "tx")
    del session.stored[session.keys[1]]
    session.turn("tc", text="go on")
    assert len(session.thinking()) == 1
    assert session.sendings[-1].restored.reason == "missing"
    session.turn("tx")
    assert len(session.thinking()) == 2
    assert len(next_body(session)) == 3


def test_a_turn_that_is_found_again_does_not_break_what_was_made_without_it() -> None:
    session = session_of("tc", "tc", "tx")
    lost = session.stored.pop(session.keys[1])
    session.turn("tc", text="go on")
    session.stored[session.keys[1]] = lost
    assert len(next_body(session)) == 2


def test_the_bytes_of_earlier_messages_stay_as_they_were_sent() -> None:
    session = session_of("tc", "tc", "tx")
    lost = session.stored.pop(session.keys[1])
    session.turn("tc", text="go on")
    session.turn("tx")
    session.stored[session.keys[1]] = lost
    session.turn("tc", text="more")
    earlier, later = session.bodies[-2]["messages"], session.bodies[-1]["messages"]
    assert wire.dumps(later[: len(earlier)]) == wire.dumps(earlier)


def test_another_models_thinking_is_left_out_and_its_own_comes_back_later() -> None:
    session = session_of("tc", "tx")
    session.model = "claude-opus-5-5"
    session.turn("tc", text="go on")
    assert session.thinking() == []
    session.turn("tx")
    assert len(session.thinking()) == 1
    session.model = "claude-sonnet-5-5"
    assert len(next_body(session)) == 2


def test_an_instruction_is_sent_again_where_it_stood() -> None:
    session = PureSession()
    session.turn("tc", instruction="You must call the tool `read` now.")
    session.turn("tx", instruction="Answer in JSON.")
    session.turn("x", text="thanks")
    texts = [str(message["content"]) for message in session.bodies[-1]["messages"]]
    assert "You must call" in texts[0]
    assert "Answer in JSON" in texts[2]
    assert "must" not in texts[4]
    assert len(session.thinking()) == 2


def test_plain_turns_are_sent_as_the_client_has_them() -> None:
    session = session_of("xc", "x", "tc")
    assert len(next_body(session)) == 1
    assert [bool(turn.content) for turn in session.stored.values()] == [False, False, True]


def test_no_thinking_is_sent_once_it_was_refused() -> None:
    session = session_of("tc", "tc", "tx")
    for key in session.keys[1:2]:
        old = session.stored[key]
        session.stored[key] = Turn(old.model, old.seen, old.client, b"", 1, refused=True)
    assert next_body(session) == []
    assert session.sendings[-1].restored.reason == "refused"


def test_older_models_get_whole_tool_loops_or_nothing_of_them() -> None:
    session = session_of("tc", "tc", "tx", "tc", "tx", model=OLDER)
    del session.stored[session.keys[1]]
    assert len(next_body(session)) == 2


def test_a_forked_conversation_keeps_what_both_share() -> None:
    session = session_of("tc", "tx", "tc", "tx")
    fork = replace(session, messages=copy.deepcopy(session.messages[:4]))
    fork.turn("tx", text="another way")
    assert len(fork.thinking()) == 2
    assert len(next_body(session)) == 4


def test_thinking_a_client_carries_is_used_when_nothing_is_stored() -> None:
    session = PureSession(carries=True)
    for shape in ("tc", "tx", "tc"):
        session.turn(shape)
    session.stored.clear()
    assert len(next_body(session)) == 3


def test_thinking_a_client_carries_in_part_is_used_up_to_the_gap() -> None:
    session = PureSession(carries=True)
    for shape in ("tc", "tx", "tc", "tx"):
        session.turn(shape)
    session.stored.clear()
    session.messages[3]["content"] = session.messages[3]["content"][1:]
    assert len(next_body(session)) == 1


def test_answers_behind_carried_thinking_are_restored_on_top_of_it() -> None:
    session = PureSession(carries=True)
    for shape in ("tc", "tx"):
        session.turn(shape)
    session.stored.clear()
    session.carries = False
    session.turn("tc", text="go on")
    session.turn("tx")
    assert len(session.thinking()) == 3
    assert len(next_body(session)) == 4


def test_a_pass_that_changes_an_earlier_message_costs_only_the_thinking_behind_it() -> None:
    session = PureSession(rewrite=lambda text, _: text.upper())
    for number in range(4):
        session.turn("tx", text=f"task {number}")
    assert len(next_body(session)) == 4
    session.answer("tx")
    changed = 4  # the question of the third exchange
    session.rewrite = lambda text, message: "(left out)" if message == changed else text.upper()
    assert next_body(session) == ["signature-0", "signature-1"]
    assert session.sendings[-1].cut
    session.answer("tx")
    assert next_body(session) == ["signature-0", "signature-1", "signature-5"]
    assert not session.sendings[-1].cut


def test_what_is_taken_out_takes_along_what_stood_before_it_in_a_rewritten_message() -> None:
    session = PureSession(rewrite=lambda text, _: text.upper())
    session.turn("tx", text="task", instruction="Do it now.")
    session.user("and now")
    session.send()
    first = session.bodies[-1]["messages"][0]["content"]
    assert [block["text"] for block in first] == ["TASK", "Do it now."]
    session.rewrite = lambda text, _: text.title()
    session.send()
    first = session.bodies[-1]["messages"][0]["content"]
    assert [block["text"] for block in first] == ["Task"]
    assert session.faults() == []


def test_nothing_counts_as_added_where_only_a_pass_was_at_work() -> None:
    session = PureSession(rewrite=lambda text, _: text + " and more")
    session.turn("tx", text="task")
    assert [turn.added for turn in session.stored.values()] == [[]]
    session.turn("tx", text="task", instruction="Do it now.")
    assert [len(turn.added) for turn in session.stored.values()] == [0, 1]
