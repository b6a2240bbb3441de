"""When a pass is judged to lose money."""

import random

from gateway.reduction.pass_record import FEWEST_CONVERSATIONS, PassRecord


def record(nets: list[float]) -> PassRecord:
    done = PassRecord()
    for usd in nets:
        done.request(None, usd)
    return done


def test_few_conversations_prove_nothing() -> None:
    assert not record([-1.0] * (FEWEST_CONVERSATIONS - 1)).loses(was_off=False)
    assert record([-1.0] * FEWEST_CONVERSATIONS).loses(was_off=False)


def test_a_gain_in_sum_is_no_loss() -> None:
    assert not record([-0.01] * 90 + [1.0] * 10).loses(was_off=False)


def test_what_chance_explains_is_no_loss() -> None:
    rng = random.Random(1)
    noise = [rng.gauss(0, 1) for _ in range(400)]
    shift = sum(noise) / len(noise)
    # The mean is 0.04 below zero where its standard error is 0.05.
    assert not record([each - shift - 0.04 for each in noise]).loses(was_off=False)
    assert record([each - shift - 0.2 for each in noise]).loses(was_off=False)


def test_coming_back_is_harder_than_staying() -> None:
    rng = random.Random(2)
    noise = [rng.gauss(0, 1) for _ in range(400)]
    shift = sum(noise) / len(noise)
    between = record([each - shift - 0.075 for each in noise])
    assert not between.loses(was_off=False)
    assert between.loses(was_off=True)


def test_requests_of_a_conversation_are_one_of_it() -> None:
    """Two requests of one conversation weigh as one with their sum."""
    in_parts, at_once = PassRecord(), PassRecord()
    in_parts.request(None, 2.0)
    in_parts.request(2.0, -3.0)
    at_once.request(None, -1.0)
    assert in_parts == at_once


def test_records_add_up_by_weight() -> None:
    total = record([1.0, 3.0])
    total.add(record([-4.0]), 0.5)
    assert total == PassRecord(2.5, 2.0, 18.0)
