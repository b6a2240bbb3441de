"""What a request's input would have cost without the gateway, and what each technique saved of it.

What is billed comes from the API's usage. What would have been billed is an estimate: the text that
was not sent is counted in tokens by this very request, prompt tokens for each character sent, and
every token of the plain translation is taken at the input price, since chat completions and
Responses carry no cache marks. A client that marks its prompts itself is measured against what it
sent: there only the passes count.

The difference is shared out exactly. A token that a pass left out would have cost what its like
did cost: a new one the mean price of what was not read from the cache, an older one mostly a read.
The rest is the cache's. Where less text keeps a prompt below the long-prompt price, the whole step
is the passes', by the tokens they took.
"""

from collections.abc import Sequence

from gateway.catalog.models import Model, Price
from gateway.structs import Struct
from gateway.usage.events import UsageNumbers
from gateway.usage.pricing import factor_of
from gateway.usage.prompt_reduction import NOTHING_KNOWN, Effect, Ledger, PromptReduction

CACHE = "cache"
"""What the prompt cache goes by among the techniques."""

MOST_TOKENS_PER_CHAR = 1.0  # images have no characters; without a bound text would pay for them

_USD_DIGITS = 10  # the cheapest token costs 1e-8 dollars
_NO_USD = 1e-12  # what is left of adding and taking away


class TechniqueSaving(Struct, frozen=True):
    """What one technique did: tokens not sent and dollars not spent, negative when it added."""

    technique: str
    tokens: float
    usd: float


class Savings(Struct, frozen=True):
    """The input side of one request; all but `billed_usd` are estimates.

    `techniques` begins with the cache, what its reads saved less what its writes cost on top, and
    sums up to `saved_usd`.
    """

    tokens_per_char: float
    baseline_tokens: float
    baseline_usd: float
    billed_usd: float
    techniques: tuple[TechniqueSaving, ...]

    @property
    def saved_usd(self) -> float:
        """What was not spent."""
        return self.baseline_usd - self.billed_usd


def savings_of(
    model: Model | None,
    usage: UsageNumbers,
    reduction: PromptReduction | None,
    *,
    batch: bool = False,
) -> Savings | None:
    """The savings of a request.

    None without usage, without a known price, and when nobody looked at the prompt.
    """
    if model is None or reduction is None:
        return None
    fresh = usage.input_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    prompt = fresh + usage.cache_read_tokens
    sent_price = model.price_for(prompt) if prompt else None
    if sent_price is None:
        return None
    effects = _by_technique(reduction.effects) if reduction.sent_chars > 0 else ()
    removed_chars = sum([removed for _, removed, _ in effects]) if effects else 0
    per_char = min(prompt / max(reduction.sent_chars, 1), MOST_TOKENS_PER_CHAR)
    baseline_tokens = prompt + removed_chars * per_char
    price = model.price_for(round(baseline_tokens)) if removed_chars else sent_price
    if price is None:
        return None
    billed = _input_cost(sent_price, usage)
    # The same request at the price the plain translation would have been billed at.
    unstepped = billed if price is sent_price else _input_cost(price, usage)
    dollars = float(factor_of(usage, batch=batch))
    passes: list[TechniqueSaving] = []
    by_passes = 0.0
    if effects:
        fresh_rate = _fresh_cost(price, usage) / fresh if fresh else price.input
        old_rate = price.cache_read if usage.cache_read_tokens else fresh_rate
        step = (unstepped - billed) / removed_chars if removed_chars else 0.0
        for technique, removed, new in effects:
            usual = (new * fresh_rate + (removed - new) * old_rate) * per_char
            usd = (usual + removed * step) * dollars
            passes.append(TechniqueSaving(technique, removed * per_char, usd))
            by_passes += usd
    baseline = baseline_tokens * price.input * dollars
    billed *= dollars
    if reduction.own_marks:
        baseline = billed + by_passes
    cache = TechniqueSaving(CACHE, 0.0, baseline - billed - by_passes)
    return Savings(per_char, baseline_tokens, baseline, billed, (cache, *passes))


def ledger_of(savings: Savings | None) -> Ledger:
    """The ledger of a request with these savings; techniques that did nothing are left out."""
    if savings is None:
        return NOTHING_KNOWN
    return Ledger(
        round(savings.baseline_usd, _USD_DIGITS),
        round(savings.billed_usd, _USD_DIGITS),
        {
            each.technique: {"tokens": round(each.tokens), "usd": round(each.usd, _USD_DIGITS)}
            for each in savings.techniques
            if each.tokens or abs(each.usd) > _NO_USD
        },
    )


def _by_technique(effects: Sequence[Effect]) -> Sequence[Effect]:
    """One effect for each technique; a pass may have noted several."""
    if len(effects) < 2:
        return effects
    sums: dict[str, Effect] = {}
    for technique, removed, new in effects:
        if technique in sums:
            _, removed_before, new_before = sums[technique]
            removed, new = removed + removed_before, new + new_before  # noqa: PLW2901
        sums[technique] = (technique, removed, new)
    return tuple(sums.values())


def _fresh_cost(price: Price, usage: UsageNumbers) -> float:
    """Dollars times one million for what was not read from the cache."""
    return (
        usage.input_tokens * price.input
        + usage.cache_write_5m_tokens * price.cache_write_5m
        + usage.cache_write_1h_tokens * price.cache_write_1h
    )


def _input_cost(price: Price, usage: UsageNumbers) -> float:
    return _fresh_cost(price, usage) + usage.cache_read_tokens * price.cache_read
