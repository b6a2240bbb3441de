"""The numbers behind a decision as JSON: small, of a bounded size, without any text of a prompt."""

from gateway.routing.learned import Arm, Choice
from gateway.routing.scoring import Score
from gateway.routing.stickiness import Switch
from gateway.wire import JSONObject


def detail_of(
    choice: Choice, score: Score | None = None, threshold: float | None = None
) -> JSONObject:
    """{"score", "threshold", "parts", "how", "models", "price_gap_usd", "failure_usd"}."""
    detail: JSONObject = {}
    if score is not None:
        detail = {"score": score.value, "threshold": threshold, "parts": score.parts}
    return {
        **detail,
        "how": choice.how,
        "models": [_arm(choice.cheaper), _arm(choice.dearer)],
        "price_gap_usd": round(choice.price_gap_usd, 4),
        "failure_usd": round(choice.failure_usd, 4),
    }


def switch_detail(switch: Switch) -> JSONObject:
    """{"strikes", "price_usd", "running_usd", "gain_usd", "is_worth_it"}."""
    return {
        "strikes": switch.strikes,
        "price_usd": round(switch.price_usd, 4),
        "running_usd": round(switch.running_usd, 4),
        "gain_usd": round(switch.gain_usd, 4),
        "is_worth_it": switch.is_worth_it,
    }


def _arm(arm: Arm) -> JSONObject:
    return {
        "model": arm.model.id,
        "successes": round(arm.counts.successes, 3),
        "failures": round(arm.counts.failures, 3),
        "prior": round(arm.prior, 3),
        "success": round(arm.mean, 3),
        "drawn": round(arm.drawn, 3),
    }
