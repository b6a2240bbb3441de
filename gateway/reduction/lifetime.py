"""How long cache entries should live: 5 minutes or the dearer hour, by expected value.

An entry that dies is written again. `p` is the chance that the conversation's next pause outlives
5 minutes but not the hour. The hour costs more for every new token, and saves writing the old ones
again when such a pause comes.
"""

from typing import Literal

from gateway.catalog.models import Price
from gateway.structs import Struct

Lifetime = Literal["5m", "1h"]

SHORT_SECONDS = 300.0
LONG_SECONDS = 3600.0

_PRIOR_WEIGHT = 40  # steps; measured on recorded agent and chat sessions
_PRIOR_AGENT = 0.02
_PRIOR_CHAT = 0.10


class Pauses(Struct, frozen=True, array_like=True):
    """How often a conversation has paused for more than 5 minutes but no more than an hour."""

    steps: int = 0
    long: int = 0

    def after(self, seconds: float) -> "Pauses":
        """With one more pause."""
        return Pauses(self.steps + 1, self.long + (SHORT_SECONDS < seconds <= LONG_SECONDS))


def choose_lifetime(
    pauses: Pauses, old_tokens: float, new_tokens: float, price: Price | None, *, chats: bool
) -> Lifetime:
    """The cheaper lifetime for a prompt of which `old_tokens` were sent before.

    `chats`: a person types between the turns of this conversation, and it only grows.
    """
    if price is None:
        return "5m"
    prior = _PRIOR_CHAT if chats else _PRIOR_AGENT
    chance = (prior * _PRIOR_WEIGHT + pauses.long) / (_PRIOR_WEIGHT + pauses.steps)
    saved = chance * (price.cache_write_5m - price.cache_read) * old_tokens
    paid = (price.cache_write_1h - price.cache_write_5m) * new_tokens
    return "1h" if saved > paid else "5m"
