"""Which of two models a task goes to: by its score, and by how both did at such tasks before.

Each model's success has a prior that stands for what the score says: without outcomes the dearer
model is chosen exactly from the threshold on. Outcomes move both; what is still uncertain is drawn
(Thompson sampling), so that a model whose record is short or old gets its share of tries. The draw
comes from the conversation's identity: every process and every retry decides alike.
"""

import math
from statistics import NormalDist

from gateway.catalog.models import Model
from gateway.protocols.shared.digests import digest
from gateway.routing.outcomes import Counts
from gateway.structs import Struct

PRIOR_SUCCESS = 0.9
"""How often the dearer model is taken to succeed before anything is known."""

PRIOR_WEIGHT = 20.0
"""How many outcomes the prior is worth."""

EXPLORED_SHARE = 0.04
"""Share of conversations, once outcomes are known, that go to the model the choice is against."""

FAILURE_USD = 1.0  # somebody's minute, beside the work that is done again
TURNS = 20  # of a conversation; median of recorded agent sessions is above, of chats below

_SLOPE = 0.4  # what the score between 0 and 1 changes in the success expected of the cheaper model
_READ, _WRITTEN, _ANSWERED = 40_000, 2_000, 600  # tokens of a typical agent turn
_STANDARD = NormalDist()


class Arm(Struct, frozen=True):
    """One of the two models: what is expected and known of it, and what was drawn."""

    model: Model
    prior: float
    counts: Counts
    mean: float
    drawn: float


class Choice(Struct, frozen=True):
    """The model chosen and why: `how` is `score`, `learned` or `explored`."""

    model: Model
    how: str
    cheaper: Arm
    dearer: Arm
    price_gap_usd: float
    failure_usd: float


class Weighed(Struct, frozen=True):
    """What a choice rests on. `guarded`: never below what the score says."""

    score: float
    threshold: float
    guarded: bool


def choose(
    cheaper: tuple[Model, Counts],
    dearer: tuple[Model, Counts],
    weighed: Weighed,
    seed: bytes,
) -> Choice:
    """The cheaper model or the dearer one, for a new conversation."""
    gap = max(conversation_usd(dearer[0]) - conversation_usd(cheaper[0]), 0.0)
    failure = failure_usd(dearer[0])
    handicap = gap / failure
    expected = PRIOR_SUCCESS - handicap + _SLOPE * (weighed.threshold - weighed.score)
    low = _arm(*cheaper, expected, seed + b"cheaper")
    high = _arm(*dearer, PRIOR_SUCCESS, seed + b"dearer")
    by_score = weighed.score >= weighed.threshold
    fixed = weighed.threshold in {0.0, 1.0}  # the operator has decided
    up = by_score
    if low.counts.total + high.counts.total > 0 and not fixed:
        up = high.drawn - low.drawn >= handicap
        if _uniform(seed + b"explore") < EXPLORED_SHARE:
            up = not up
    if weighed.guarded and by_score:
        up = True
    best = high.mean - low.mean >= handicap
    how = "score" if up == by_score else "learned" if up == best else "explored"
    return Choice(high.model if up else low.model, how, low, high, gap, failure)


def conversation_usd(model: Model) -> float:
    """What a typical conversation costs; 0 for a model whose price nobody knows."""
    return TURNS * turn_usd(model, _READ)


def turn_usd(model: Model, read_tokens: int) -> float:
    """What a typical turn costs that reads so many tokens from the prompt cache."""
    price = model.price
    if price is None:
        return 0.0
    read = read_tokens * price.cache_read
    return (read + _WRITTEN * price.cache_write_5m + _ANSWERED * price.output) / 1e6


def failure_usd(dearer: Model) -> float:
    """What a failed conversation costs: somebody's time, and the work done by the dearer model."""
    return FAILURE_USD + conversation_usd(dearer)


def success(prior: float, counts: Counts) -> float:
    """The success to expect: the prior, moved by what was counted."""
    known = PRIOR_WEIGHT * prior + counts.successes
    return known / (PRIOR_WEIGHT + counts.total)


def _arm(model: Model, counts: Counts, prior: float, seed: bytes) -> Arm:
    prior = min(max(prior, 0.02), 0.98)
    mean = success(prior, counts)
    if not counts.total:
        return Arm(model, prior, counts, mean, mean)
    weight = PRIOR_WEIGHT + counts.total
    # Little is drawn while little is known: there the score decides.
    spread = math.sqrt(mean * (1 - mean) / (weight + 1)) * math.sqrt(counts.total / weight)
    drawn = min(max(mean + spread * _STANDARD.inv_cdf(_uniform(seed)), 0.0), 1.0)
    return Arm(model, prior, counts, mean, drawn)


def _uniform(seed: bytes) -> float:
    """A number between 0 and 1, both left out, that looks like chance and is not."""
    return (int.from_bytes(digest(seed)[:7], "big") + 0.5) / 2.0**56
