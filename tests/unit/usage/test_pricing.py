"""The golden table of costs: every figure worked out by hand from the published prices."""

from decimal import Decimal

import pytest

from gateway.catalog.models import Model, load_catalog
from gateway.usage.events import TokenUsage
from gateway.usage.pricing import cost_usd

CATALOG = load_catalog()
MILLION = 1_000_000

GOLDEN = [
    # model, usage, dollars
    ("claude-sonnet-5-5", {"input_tokens": MILLION}, "2"),
    ("claude-sonnet-5-5", {"output_tokens": MILLION}, "10"),
    ("claude-sonnet-5-5", {"cache_read_tokens": MILLION}, "0.1"),
    ("claude-sonnet-5-5", {"cache_write_5m_tokens": MILLION}, "2.5"),
    ("claude-sonnet-5-5", {"cache_write_1h_tokens": MILLION}, "4"),
    # An agent's turn: 3 new tokens, 48,211 read, 1,906 written, 871 out.
    (
        "claude-sonnet-5-5",
        {
            "input_tokens": 3,
            "cache_read_tokens": 48_211,
            "cache_write_5m_tokens": 1_906,
            "output_tokens": 871,
        },
        "0.0183021",
    ),
    ("claude-opus-5-5", {"input_tokens": 1000, "output_tokens": 1000}, "0.024"),
    ("claude-opus-5-5", {"cache_read_tokens": 10_000}, "0.002"),
    ("claude-opus-5", {"cache_read_tokens": 10_000}, "0.005"),
    ("claude-fable-5-1", {"cache_read_tokens": 10_000}, "0.0025"),
    ("claude-haiku-4-5", {"input_tokens": 1, "output_tokens": 1}, "0.000006"),
    # Dated names are the same model.
    ("claude-haiku-4-5-20251001", {"input_tokens": MILLION}, "1"),
    # The long-prompt step bills the whole request, once the prompt is over 100,000 tokens.
    ("claude-haiku-5-5", {"input_tokens": 100_000, "output_tokens": 1000}, "0.0105"),
    ("claude-haiku-5-5", {"input_tokens": 100_001, "output_tokens": 1000}, "0.0525005"),
    (
        "claude-haiku-5-5",
        {"input_tokens": 1, "cache_read_tokens": 90_000, "cache_write_5m_tokens": 10_000},
        "0.0107505",
    ),
    # Thinking is part of the output and not paid twice.
    ("claude-sonnet-5-5", {"output_tokens": 1000, "thinking_tokens": 900}, "0.01"),
    # $10 for 1000 searches, whatever the model.
    ("claude-sonnet-5-5", {"web_search_requests": 3}, "0.03"),
    # What the upstream reports about speed, place and tier.
    ("claude-opus-5-5", {"output_tokens": MILLION, "speed": "fast"}, "40"),
    ("claude-opus-5-5", {"output_tokens": MILLION, "speed": "standard"}, "20"),
    ("claude-opus-5-5", {"output_tokens": MILLION, "inference_geo": "us"}, "22"),
    ("claude-opus-5-5", {"output_tokens": MILLION, "inference_geo": "global"}, "20"),
    ("claude-opus-5-5", {"output_tokens": MILLION, "service_tier": "batch"}, "10"),
    ("claude-opus-5-5", {"output_tokens": MILLION, "service_tier": "standard"}, "20"),
]


@pytest.mark.parametrize(("name", "numbers", "dollars"), GOLDEN)
def test_p45_costs_are_those_of_the_price_list(
    name: str, numbers: dict[str, int], dollars: str
) -> None:
    usage = TokenUsage(**numbers)  # type: ignore[arg-type] # the table mixes numbers and texts
    assert cost_usd(CATALOG.find(name), usage) == Decimal(dollars)


@pytest.mark.parametrize(
    ("batch", "fast", "us", "dollars"),
    [
        (True, False, False, "5"),
        (False, True, False, "20"),
        (False, False, True, "11"),
        (False, True, True, "22"),
        (True, False, True, "5.5"),
    ],
)
def test_factors_multiply(batch: bool, fast: bool, us: bool, dollars: str) -> None:
    model = CATALOG.find("claude-sonnet-5-5")
    usage = TokenUsage(output_tokens=MILLION)
    assert cost_usd(model, usage, batch=batch, fast=fast, us=us) == Decimal(dollars)


def test_a_factor_that_is_asked_and_reported_counts_once() -> None:
    usage = TokenUsage(output_tokens=MILLION, speed="fast", service_tier="batch")
    model = CATALOG.find("claude-opus-5-5")
    assert cost_usd(model, usage, batch=True, fast=True) == Decimal(20)


def test_a_web_search_is_not_made_cheaper_by_a_batch() -> None:
    usage = TokenUsage(web_search_requests=1)
    assert cost_usd(CATALOG.find("claude-opus-5-5"), usage, batch=True) == Decimal("0.01")


def test_an_unknown_price_is_unknown_and_never_zero() -> None:
    usage = TokenUsage(input_tokens=1)
    assert cost_usd(None, usage) is None
    assert cost_usd(Model("claude-new"), usage) is None
    assert cost_usd(CATALOG.find("claude-mythos-5-2"), usage) is None


def test_what_used_nothing_cost_nothing() -> None:
    assert cost_usd(None, TokenUsage()) == 0


def test_every_model_that_is_sold_openly_has_a_price() -> None:
    unpriced = [
        model.id
        for model in CATALOG.models.values()
        if cost_usd(model, TokenUsage(input_tokens=1)) is None and not model.restricted
    ]
    assert unpriced == []
