"""First turns that nobody continues are not written to the cache."""

from gateway.policies import ReductionPolicy
from gateway.reduction.continuations import Continuations, is_worth_writing
from tests.unit.reduction.conversations import SONNET, Client, long, marks, text, user


def test_a_client_nobody_knows_is_expected_to_continue() -> None:
    assert is_worth_writing(Continuations().chance("p", "ide"), SONNET.price)


def test_p42_a_client_that_never_continues_is_not_written_for() -> None:
    known = Continuations()
    for _ in range(40):
        known.begun("p", "script")
    assert not is_worth_writing(known.chance("p", "script"), SONNET.price)
    assert is_worth_writing(known.chance("p", "ide"), SONNET.price)
    assert is_worth_writing(known.chance("other", "script"), SONNET.price)


def test_a_client_can_change_its_ways() -> None:
    known = Continuations()
    for _ in range(1_000):
        known.begun("p", "c")
    for _ in range(150):
        known.begun("p", "c")
        known.continued("p", "c")
    assert is_worth_writing(known.chance("p", "c"), SONNET.price)


def test_what_is_kept_is_bounded() -> None:
    known = Continuations()
    for number in range(5_000):
        known.begun("p", str(number))
    assert len(known._counts) <= 2_000


def test_such_a_first_turn_keeps_the_marks_that_other_first_turns_can_read() -> None:
    body = {"system": [text(long("rules"))], "messages": [user(long("question"))]}
    assert marks(Client(ReductionPolicy()).send(body, chance=0.05)) == ["system.1"]
    assert "messages.0.0" in marks(Client(ReductionPolicy()).send(body))
