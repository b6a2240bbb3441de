"""How outcomes move traffic between two models, and how far."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalog.models import Model
from gateway.routing.learned import EXPLORED_SHARE, Choice, Weighed, choose
from gateway.routing.outcomes import NOTHING_KNOWN, Counts
from tests.unit.routing.router_parts import DEFAULT, HEAVY, asking, chat, router

CONVERSATIONS = 2_000


def choice(
    cheaper: Counts,
    dearer: Counts,
    score: float = 0.3,
    number: int = 0,
    guarded: bool = False,
    threshold: float = 0.5,
) -> Choice:
    seed = number.to_bytes(16, "big")
    return choose((DEFAULT, cheaper), (HEAVY, dearer), Weighed(score, threshold, guarded), seed)


def share(
    model: Model,
    cheaper: Counts,
    dearer: Counts,
    score: float = 0.3,
    guarded: bool = False,
    threshold: float = 0.5,
) -> float:
    """The share of conversations that `model` gets."""
    chosen = [
        choice(cheaper, dearer, score, number, guarded, threshold).model
        for number in range(CONVERSATIONS)
    ]
    return chosen.count(model) / CONVERSATIONS


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 1_000))
def test_without_outcomes_the_score_decides(score: float, threshold: float, number: int) -> None:
    made = choice(NOTHING_KNOWN, NOTHING_KNOWN, score, number, threshold=threshold)
    assert (made.model is HEAVY) == (score >= threshold)
    assert made.how == "score"


def test_a_model_that_fails_at_a_class_loses_its_conversations() -> None:
    assert share(HEAVY, Counts(10, 90), Counts(90, 10)) > 0.9
    assert share(DEFAULT, Counts(95, 5), Counts(40, 60), score=0.8) > 0.9


def test_being_as_good_is_not_enough_for_the_dearer_model() -> None:
    assert share(HEAVY, Counts(90, 10), Counts(92, 8)) < 2 * EXPLORED_SHARE


@pytest.mark.parametrize(
    ("cheaper", "dearer"),
    [(Counts(10_000, 0), Counts(0, 10_000)), (Counts(0, 10_000), Counts(10_000, 0))],
)
def test_either_model_keeps_its_share_of_tries(cheaper: Counts, dearer: Counts) -> None:
    for model in (DEFAULT, HEAVY):
        assert share(model, cheaper, dearer) >= 0.7 * EXPLORED_SHARE


def test_guarded_work_never_goes_below_what_the_score_says() -> None:
    made = {
        choice(Counts(500, 0), Counts(0, 500), 0.8, number, guarded=True).model.id
        for number in range(200)
    }
    assert made == {HEAVY.id}
    assert share(HEAVY, Counts(0, 500), Counts(500, 0), guarded=True) > 0.9


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_an_extreme_threshold_is_an_order(threshold: float) -> None:
    wanted = HEAVY if threshold == 0.0 else DEFAULT
    for counts in ((Counts(0, 500), Counts(500, 0)), (Counts(500, 0), Counts(0, 500))):
        assert share(wanted, *counts, threshold=threshold) == 1.0


def test_draws_narrow_as_more_is_known() -> None:
    def spread(known: float) -> float:
        drawn = [
            choice(Counts(known / 2, known / 2), NOTHING_KNOWN, number=number).cheaper.drawn
            for number in range(300)
        ]
        return max(drawn) - min(drawn)

    assert spread(4_000) < spread(40)


def test_learning_moves_traffic_and_recovers() -> None:
    """The default model fails at debugging for a while, then copes again; failures are decayed."""
    sums = {DEFAULT.id: [0.0, 0.0], HEAVY.id: [0.0, 0.0]}
    succeeds = {DEFAULT.id: 0.9, HEAVY.id: 0.95}
    shares = []
    number = 0
    for period in range(30):
        succeeds[DEFAULT.id] = 0.25 if 8 <= period < 16 else 0.9
        known = [("debugging", model, Counts(*both)) for model, both in sums.items()]
        deciding = router(known)
        heavy = 0
        for each in sums.values():
            each[0], each[1] = each[0] * 0.75, each[1] * 0.75
        for _ in range(100):
            number += 1
            conversation = number.to_bytes(16, "big")
            model = deciding.decide(chat("Debug this crash"), asking(conversation)).route.model.id
            heavy += model == HEAVY.id
            has_failed = (number * 7919) % 100 >= succeeds[model] * 100
            sums[model][has_failed] += 1
        shares.append(heavy / 100)
    assert max(shares[2:8]) < 0.3  # as the score says, and some tries
    assert min(shares[11:16]) > 0.7  # moved away from what fails
    assert max(shares[26:]) < 0.3  # and back, by the tries it kept getting
