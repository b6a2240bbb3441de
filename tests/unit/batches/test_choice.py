"""Which mode a batch is executed in, and why."""

import pytest

from gateway.batches.choice import Choice, choose_mode

CHAT, DAY, HOUR = "/v1/chat/completions", 86_400.0, 3_600.0


@pytest.mark.parametrize(
    ("asked", "endpoint", "items", "seconds", "why_not", "mode"),
    [
        ("auto", CHAT, 5_000, DAY, None, "anthropic"),
        ("auto", CHAT, 99, DAY, None, "paced"),
        ("auto", CHAT, 5_000, HOUR, None, "paced"),
        ("auto", CHAT, 5_000, DAY, "no key", "paced"),
        ("auto", "/v1/embeddings", 5_000, DAY, None, "paced"),
        ("anthropic", CHAT, 3, HOUR, None, "anthropic"),
        ("anthropic", CHAT, 3, DAY, "no key", "paced"),
        ("anthropic", "/v1/embeddings", 3, DAY, None, "paced"),
        ("paced", CHAT, 5_000, DAY, None, "paced"),
    ],
)
def test_size_and_urgency_decide_where_nothing_is_asked(
    asked: str, endpoint: str, items: int, seconds: float, why_not: str | None, mode: str
) -> None:
    choice = choose_mode(
        asked, endpoint=endpoint, items=items, seconds_left=seconds, why_not=why_not
    )
    assert choice.mode == mode
    assert choice.reason


def test_the_reason_is_told() -> None:
    choice = choose_mode("auto", endpoint=CHAT, items=12, seconds_left=DAY, why_not=None)
    assert choice == Choice("paced", "12 items are done sooner one by one (under 100)")
