"""Savings against examples worked out by hand, and the identity that no dollar is lost or made."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.catalog.models import Model, load_catalog
from gateway.usage.events import TokenUsage
from gateway.usage.prompt_reduction import NOTHING_KNOWN, PromptReduction, reduction_of
from gateway.usage.savings import CACHE, Savings, ledger_of, savings_of

CATALOG = load_catalog()
SONNET = "claude-sonnet-5-5"  # $2 in, 0.10 read, 2.50 and 4.00 written, a million tokens
HAIKU = "claude-haiku-5-5"  # $0.10 in; over 100,000 tokens $0.50
PLAIN = PromptReduction()


def savings(model: str, reduction: PromptReduction = PLAIN, **usage: int) -> Savings:
    found = savings_of(CATALOG.find(model), TokenUsage(**usage), reduction)  # type: ignore[arg-type]
    assert found is not None
    return found


def by_technique(found: Savings) -> dict[str, float]:
    return {each.technique: each.usd for each in found.techniques}


def test_without_cache_and_passes_the_bill_is_the_baseline() -> None:
    found = savings(SONNET, input_tokens=1000)
    assert found.baseline_usd == found.billed_usd == pytest.approx(0.002)
    assert by_technique(found) == {CACHE: 0}


def test_reads_are_won_and_writes_of_five_minutes_lost() -> None:
    # 10,000 x $2 = 0.02 against 8000 x 0.10 + 1500 x 2.50 + 500 x 2 = 0.00555.
    found = savings(SONNET, cache_read_tokens=8000, cache_write_5m_tokens=1500, input_tokens=500)
    assert found.baseline_usd == pytest.approx(0.02)
    assert found.billed_usd == pytest.approx(0.00555)
    assert by_technique(found)[CACHE] == pytest.approx(8000 * 1.9e-6 - 1500 * 0.5e-6)


def test_a_first_request_that_is_kept_for_an_hour_costs_twice() -> None:
    found = savings(SONNET, cache_write_1h_tokens=10_000)
    assert found.saved_usd == pytest.approx(-0.02)
    assert by_technique(found)[CACHE] == pytest.approx(-0.02)


def test_what_was_left_out_is_valued_as_its_like_was_billed() -> None:
    # 40,000 characters, 10,000 tokens: a quarter of a token each. Of 4000 characters left out 1000
    # are new: 250 tokens at the mean of what was fresh, (500 x 2 + 1500 x 2.50) / 2000 = 2.375, and
    # 750 older ones at the price of a read.
    reduction = PromptReduction(40_000, (("references", 4000, 1000),))
    found = savings(
        SONNET,
        reduction,
        cache_read_tokens=8000,
        cache_write_5m_tokens=1500,
        input_tokens=500,
    )
    assert found.baseline_tokens == pytest.approx(11_000)
    assert found.baseline_usd == pytest.approx(0.022)
    references = 250 * 2.375e-6 + 750 * 0.1e-6
    assert by_technique(found)["references"] == pytest.approx(references)
    assert by_technique(found)[CACHE] == pytest.approx(0.022 - 0.00555 - references)


def test_without_a_read_older_text_would_have_been_paid_in_full() -> None:
    reduction = PromptReduction(40_000, (("caps", 4000, 0),))
    found = savings(SONNET, reduction, input_tokens=10_000)
    assert by_technique(found)["caps"] == pytest.approx(1000 * 2e-6)
    assert by_technique(found)[CACHE] == pytest.approx(0)


def test_text_that_is_added_costs() -> None:
    reduction = PromptReduction(4000, (("diff_first", -400, -400),))
    found = savings(SONNET, reduction, cache_write_1h_tokens=1000)
    assert by_technique(found)["diff_first"] == pytest.approx(-100 * 4e-6)
    assert found.baseline_usd == pytest.approx(900 * 2e-6)


def test_what_a_pass_notes_twice_is_one_technique() -> None:
    effects = (("caps", 400, 400), ("references", 100, 0), ("caps", 40, 0))
    found = savings(SONNET, PromptReduction(4000, effects), input_tokens=1000)
    assert [each.technique for each in found.techniques] == [CACHE, "caps", "references"]
    assert found.techniques[1].tokens == pytest.approx(110)


def test_staying_below_the_long_prompt_price_is_the_passes_doing() -> None:
    # 90,000 tokens at $0.10 instead of 110,000 at $0.50: 0.009 against 0.055.
    reduction = PromptReduction(360_000, (("caps", 60_000, 60_000), ("references", 20_000, 0)))
    found = savings(HAIKU, reduction, input_tokens=90_000)
    assert found.baseline_tokens == pytest.approx(110_000)
    assert found.baseline_usd == pytest.approx(0.055)
    assert found.billed_usd == pytest.approx(0.009)
    # 15,000 tokens and 5,000 at $0.50, and of the step of 0.036 three quarters and one.
    assert by_technique(found)["caps"] == pytest.approx(0.0075 + 0.027)
    assert by_technique(found)["references"] == pytest.approx(0.0025 + 0.009)
    assert by_technique(found)[CACHE] == pytest.approx(0)


def test_below_and_above_the_step_nothing_jumps() -> None:
    below = savings(HAIKU, input_tokens=100_000)
    above = savings(HAIKU, cache_read_tokens=90_001, input_tokens=10_000)
    assert below.baseline_usd == pytest.approx(0.01)
    assert above.baseline_usd == pytest.approx(0.0500005)
    assert above.billed_usd == pytest.approx(90_001 * 0.05e-6 + 0.005)


def test_a_client_with_marks_of_its_own_owes_the_cache_to_nobody() -> None:
    usage = {"cache_read_tokens": 8000, "input_tokens": 2000}
    untouched = savings(SONNET, PromptReduction(own_marks=True), **usage)
    assert untouched.baseline_usd == untouched.billed_usd
    effects = (("references", 4000, 0),)
    reduced = savings(SONNET, PromptReduction(40_000, effects, own_marks=True), **usage)
    assert reduced.saved_usd == pytest.approx(1000 * 0.1e-6)
    assert by_technique(reduced)[CACHE] == pytest.approx(0)


def test_images_do_not_make_text_dear() -> None:
    reduction = PromptReduction(100, (("boilerplate", 300, 300),))
    assert savings(SONNET, reduction, input_tokens=20_000).baseline_tokens == 20_300


def test_an_effect_on_a_prompt_that_nobody_measured_is_not_claimed() -> None:
    found = savings(SONNET, PromptReduction(0, (("caps", 900, 900),)), input_tokens=10)
    assert by_technique(found) == {CACHE: 0}


def test_what_multiplies_the_price_multiplies_both_sides() -> None:
    usage = TokenUsage(cache_read_tokens=1000, speed="fast", inference_geo="us")
    found = savings_of(CATALOG.find("claude-opus-5-5"), usage, PLAIN, batch=True)
    assert found is not None
    assert found.baseline_usd == pytest.approx(1000 * 4e-6 * 1.1)
    assert found.billed_usd == pytest.approx(1000 * 0.2e-6 * 1.1)


@pytest.mark.parametrize(
    ("model", "usage", "reduction"),
    [
        (None, TokenUsage(input_tokens=1), PLAIN),
        (Model("claude-new"), TokenUsage(input_tokens=1), PLAIN),
        (CATALOG.find("claude-mythos-5-2"), TokenUsage(input_tokens=1), PLAIN),
        (CATALOG.find(SONNET), TokenUsage(output_tokens=5), PLAIN),
        (CATALOG.find(SONNET), TokenUsage(input_tokens=1), None),
    ],
    ids=["unknown", "new", "no price", "no usage", "nobody looked"],
)
def test_what_is_unknown_is_none_and_never_zero(
    model: Model | None, usage: TokenUsage, reduction: PromptReduction | None
) -> None:
    assert savings_of(model, usage, reduction) is None
    assert ledger_of(None) == NOTHING_KNOWN
    assert ledger_of(None).baseline_usd is None


TOKENS = st.integers(0, 300_000)
CHARS = st.integers(-50_000, 400_000)
EFFECTS = st.lists(
    st.tuples(st.sampled_from(["caps", "references", "boilerplate", "diff_first"]), CHARS, CHARS),
    max_size=6,
)


@given(
    model=st.sampled_from([SONNET, HAIKU, "claude-opus-4-5"]),
    tokens=st.tuples(TOKENS, TOKENS, TOKENS, TOKENS),
    effects=EFFECTS,
    sent=st.integers(0, 2_000_000),
    own_marks=st.booleans(),
)
def test_techniques_add_up_to_what_was_saved(
    model: str,
    tokens: tuple[int, int, int, int],
    effects: list[tuple[str, int, int]],
    sent: int,
    own_marks: bool,
) -> None:
    usage = TokenUsage(tokens[0], 0, *tokens[1:])
    reduction = PromptReduction(sent, tuple(effects), own_marks=own_marks)
    found = savings_of(CATALOG.find(model), usage, reduction)
    assert (found is None) == (sum(tokens) == 0)
    if found is not None:
        total = math.fsum(each.usd for each in found.techniques)
        assert total == pytest.approx(found.saved_usd, abs=1e-9)
        ledger = ledger_of(found)
        assert ledger.techniques is not None
        assert ledger.baseline_usd is not None
        assert ledger.billed_usd is not None
        written = math.fsum(each["usd"] for each in ledger.techniques.values())
        assert written == pytest.approx(ledger.baseline_usd - ledger.billed_usd, abs=1e-8)


def test_a_reduction_comes_back_from_the_journal() -> None:
    reduction = PromptReduction(9, (("caps", 3, 2), ("references", -1, 0)), 3, "1h", True)
    assert reduction_of(wire.loads(wire.dumps_struct(reduction))) == reduction


@pytest.mark.parametrize("data", [{}, {"effects": [1]}, {"sent_chars": "many"}, 7, []])
def test_what_is_no_reduction_is_refused(data: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        reduction_of(data)  # type: ignore[arg-type] # that is the point
