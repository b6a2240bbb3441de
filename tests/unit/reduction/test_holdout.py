"""The hold-out: by chance, and the same for a conversation everywhere."""

import math
import subprocess
import sys

import pytest

from gateway.reduction.holdout import is_held_out

CONVERSATIONS = [number.to_bytes(16) for number in range(20_000)]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_about_the_share_is_held_out(share: float) -> None:
    held = sum(is_held_out(each, "web", share) for each in CONVERSATIONS)
    deviation = math.sqrt(share * (1 - share) * len(CONVERSATIONS))
    assert held == pytest.approx(share * len(CONVERSATIONS), abs=3 * deviation)


def test_the_bounds_hold_none_and_all() -> None:
    assert not any(is_held_out(each, "web", 0.0) for each in CONVERSATIONS)
    assert all(is_held_out(each, "web", 1.0) for each in CONVERSATIONS)


def test_a_greater_share_keeps_those_that_were_held_out() -> None:
    for each in CONVERSATIONS[:2000]:
        assert is_held_out(each, "web", 0.3) >= is_held_out(each, "web", 0.1)


def test_projects_draw_by_themselves() -> None:
    both = sum(
        is_held_out(each, "web", 0.1) and is_held_out(each, "app", 0.1) for each in CONVERSATIONS
    )
    assert both == pytest.approx(0.01 * len(CONVERSATIONS), rel=0.3)


def test_another_process_draws_the_same() -> None:
    program = (
        "from gateway.reduction.holdout import is_held_out\n"
        "print([n for n in range(200) if is_held_out(n.to_bytes(16), 'web', 0.2)])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    here = [n for n in range(200) if is_held_out(n.to_bytes(16), "web", 0.2)]
    assert said.stdout.strip() == str(here)
