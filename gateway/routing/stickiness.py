"""A conversation keeps its model: a switch costs everything that is in the prompt cache.

It goes up to the heavy model only when its own tool results fail again and again, or the same
request comes again, and when what that promises is worth more than the switch; then it stays there.
"""

from gateway.catalog.models import Model
from gateway.routing.learned import failure_usd, turn_usd
from gateway.structs import Struct
from gateway.wire import JSONObject

STRIKES_TO_ESCALATE = 4
"""Failed results are one strike, the same request again is two; a clean turn takes one off."""

_MOST_STRIKES = 12
_LEAST_TURNS_LEFT = 4
_MOST_TURNS_LEFT = 40
_TURNS_TRUSTED = 4  # how many turns the record from elsewhere counts beside this conversation's own


class Sticky(Struct, frozen=True):
    """What was decided for a conversation, and what has happened to it since.

    `mark` is that of its newest request, `messages` how many that had; `strikes` is the evidence
    that the model does not cope, see STRIKES_TO_ESCALATE.
    """

    model: str
    effort: str | None = None
    thinking: str | None = None
    reason: str = "score"
    task_class: str = "feature"
    mark: str = ""
    messages: int = 0
    strikes: int = 0

    def to_dict(self) -> JSONObject:
        """The choice as JSON, for the state of the conversation."""
        return {
            "model": self.model,
            "effort": self.effort,
            "thinking": self.thinking,
            "reason": self.reason,
            "class": self.task_class,
            "mark": self.mark,
            "messages": self.messages,
            "strikes": self.strikes,
        }

    @classmethod
    def from_dict(cls, kept: JSONObject) -> "Sticky | None":
        """The choice `to_dict` wrote; None for anything else, which is decided anew."""
        try:
            sticky = cls(
                kept["model"],
                kept["effort"],
                kept["thinking"],
                kept["reason"],
                kept["class"],
                kept["mark"],
                int(kept["messages"]),
                int(kept["strikes"]),
            )
        except (KeyError, TypeError, ValueError):
            return None
        texts = (sticky.model, sticky.reason, sticky.task_class, sticky.mark)
        return sticky if all(isinstance(text, str) for text in texts) else None


class Switch(Struct, frozen=True):
    """What going up would cost and bring, in dollars. `is_worth_it` is the verdict."""

    strikes: int
    price_usd: float
    running_usd: float
    gain_usd: float
    is_worth_it: bool


def is_repeat(sticky: Sticky, mark: str, messages: int) -> bool:
    """True when the newest request is the one before it, sent again.

    The same words further on are none: loops of agents see the same output many times.
    """
    return sticky.mark == mark and 0 < messages <= sticky.messages


def noted(sticky: Sticky, mark: str, messages: int, failed: int) -> Sticky:
    """`sticky` with the newest request and what it tells about the answer before it."""
    if is_repeat(sticky, mark, messages):
        strikes = sticky.strikes + 2
    elif failed:
        strikes = sticky.strikes + 1
    else:
        strikes = max(sticky.strikes - 1, 0)
    return Sticky(
        sticky.model,
        sticky.effort,
        sticky.thinking,
        sticky.reason,
        sticky.task_class,
        mark,
        messages,
        min(strikes, _MOST_STRIKES),
    )


def weigh_switch(
    sticky: Sticky, models: tuple[Model, Model], successes: tuple[float, float], cached_tokens: int
) -> Switch:
    """Whether to go from the first of `models` to the second, whose expected successes are given.

    The price is what is cached written anew by the second model instead of read by the first; the
    turns to come also cost more. The gain is the failures that are spared.
    """
    now, wanted = models
    price = 0.0
    if now.price is not None and wanted.price is not None:
        price = cached_tokens * (wanted.price.cache_write_5m - now.price.cache_read) / 1e6
    turns_left = min(max(sticky.messages // 2, _LEAST_TURNS_LEFT), _MOST_TURNS_LEFT)
    each = turn_usd(wanted, cached_tokens)
    running = turns_left * max(each - turn_usd(now, cached_tokens), 0.0)
    here = successes[0] * _TURNS_TRUSTED / (_TURNS_TRUSTED + sticky.strikes)
    gain = max(successes[1] - here, 0.0) * failure_usd(wanted)
    is_worth_it = (
        sticky.strikes >= STRIKES_TO_ESCALATE
        and gain > price + running
        and price <= turns_left * each
    )
    return Switch(sticky.strikes, price, running, gain, is_worth_it)
