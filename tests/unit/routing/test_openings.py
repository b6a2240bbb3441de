"""How often the right model is chosen for the first turn of a conversation."""

from collections import Counter

from gateway.policies import RoutingPolicy
from tests.unit.routing.openings import OPENINGS
from tests.unit.routing.router_parts import SIZES, asking, chat, router

REQUIRED_ACCURACY = 0.93


def chosen(text: str, policy: RoutingPolicy) -> str:
    return SIZES[router().decide(chat(text), asking(policy=policy)).route.model.id]


def test_the_right_model_is_chosen_for_most_openings() -> None:
    assert len(OPENINGS) >= 60
    wrong = [text for right, text in OPENINGS if chosen(text, RoutingPolicy()) != right]
    assert len(wrong) <= (1 - REQUIRED_ACCURACY) * len(OPENINGS), wrong


def test_each_kind_of_opening_is_mostly_right_under_both_ways() -> None:
    for smart in (True, False):
        policy = RoutingPolicy(smart=smart)
        right = Counter(label for label, text in OPENINGS if chosen(text, policy) == label)
        for label, count in Counter(label for label, _ in OPENINGS).items():
            assert right[label] >= 0.85 * count, (smart, label)


def test_the_threshold_moves_the_choice() -> None:
    always, never = RoutingPolicy(heavy_threshold=0.0), RoutingPolicy(heavy_threshold=1.0)
    assert chosen("Add a --json flag", always) == "heavy"
    assert chosen("Production is down, find out why", never) == "default"
