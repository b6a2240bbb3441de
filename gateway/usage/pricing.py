"""What a request costs, in US dollars, by the prices in the model table.

Input tokens at the input price, cache reads and writes at their own, output (thinking included) at
the output price. A model with a long-prompt step bills the whole request at the higher price. On
top of it: fast mode twice, inference in the US 1.1 times, batches half. A web search costs the same
everywhere. Source: Anthropic's pricing page as of the model table's date.
"""

from decimal import Decimal
from functools import lru_cache

from gateway.catalog.models import Model, Price
from gateway.usage.events import UsageNumbers

_PER_TOKEN = Decimal("0.000001")  # prices are per million tokens
_WEB_SEARCH = Decimal("0.01")  # $10 per 1000
_FAST = Decimal(2)
_US = Decimal("1.1")
_BATCH = Decimal("0.5")


def cost_usd(
    model: Model | None,
    usage: UsageNumbers,
    *,
    batch: bool = False,
    fast: bool = False,
    us: bool = False,
) -> Decimal | None:
    """The cost of `usage`, None when nobody has told what the model costs.

    What used nothing costs nothing, whatever the model. `batch`, `fast` and `us` add to what the
    upstream reports as service tier, speed and place.
    """
    if not _used_anything(usage):
        return Decimal(0)
    if model is None:
        return None
    prompt = (
        usage.input_tokens
        + usage.cache_read_tokens
        + usage.cache_write_5m_tokens
        + usage.cache_write_1h_tokens
    )
    price = model.price_for(prompt)
    if price is None:
        return None
    factor = factor_of(usage, batch=batch, fast=fast, us=us)
    return _at(price, usage) * factor + usage.web_search_requests * _WEB_SEARCH


def factor_of(
    usage: UsageNumbers, *, batch: bool = False, fast: bool = False, us: bool = False
) -> Decimal:
    """What a price per million tokens is multiplied by to give the dollars of one token."""
    return _factor(
        fast or usage.speed == "fast",
        us or usage.inference_geo == "us",
        batch or usage.service_tier == "batch",
    )


@lru_cache(maxsize=8)
def _factor(fast: bool, us: bool, batch: bool) -> Decimal:
    factor = _PER_TOKEN
    if fast:
        factor *= _FAST
    if us:
        factor *= _US
    if batch:
        factor *= _BATCH
    return factor


def _used_anything(usage: UsageNumbers) -> bool:
    return bool(
        usage.input_tokens
        or usage.output_tokens
        or usage.cache_read_tokens
        or usage.cache_write_5m_tokens
        or usage.cache_write_1h_tokens
        or usage.web_search_requests
    )


def _at(price: Price, usage: UsageNumbers) -> Decimal:
    """Dollars times one million."""
    cost = usage.input_tokens * _exact(price.input) + usage.output_tokens * _exact(price.output)
    if usage.cache_read_tokens:
        cost += usage.cache_read_tokens * _exact(price.cache_read)
    if usage.cache_write_5m_tokens:
        cost += usage.cache_write_5m_tokens * _exact(price.cache_write_5m)
    if usage.cache_write_1h_tokens:
        cost += usage.cache_write_1h_tokens * _exact(price.cache_write_1h)
    return cost


@lru_cache(maxsize=256)
def _exact(price: float) -> Decimal:
    """The price with the digits of the table: `str` keeps them, where `float` has none."""
    return Decimal(str(price))
