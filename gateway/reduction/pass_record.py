"""How a rewriting pass has done so far: its statistics and the judgement on them."""

from math import sqrt
from typing import Self

from gateway.structs import Struct

FEWEST_CONVERSATIONS = 20
"""Fewer prove nothing."""

TRIAL_SHARE = 0.05
"""The share of new conversations that a pass which is switched off gets all the same."""

_OFF_DEVIATIONS = 2.0  # a pass that neither gains nor loses is taken for a loser 1 time in 44
_ON_DEVIATIONS = 1.0  # to come back is harder than to stay, else it would flap at the border


class PassRecord(Struct):
    """Net dollars of conversations: how many, their sum, and the sum of their squares."""

    conversations: float = 0.0
    net_usd: float = 0.0
    squares: float = 0.0

    def add(self, other: Self, weight: float = 1.0) -> None:
        """Add another record, at that weight."""
        self.conversations += other.conversations * weight
        self.net_usd += other.net_usd * weight
        self.squares += other.squares * weight

    def request(self, before: float | None, usd: float) -> None:
        """Add a request of a conversation that stood at `before`, None for its first one."""
        stood = before or 0.0
        self.conversations += before is None
        self.net_usd += usd
        self.squares += (stood + usd) ** 2 - stood**2

    def loses(self, *, was_off: bool) -> bool:
        """True when the mean of a conversation lies below zero by more than chance explains.

        The bound is mean + 2 standard errors; for one that is switched off, mean + 1. With few
        conversations on record, because none was seen or because they are long ago, nothing is
        proven and a pass is used.
        """
        count = self.conversations
        if count < FEWEST_CONVERSATIONS:
            return False
        mean = self.net_usd / count
        variance = max(self.squares / count - mean**2, 0.0)
        deviations = _ON_DEVIATIONS if was_off else _OFF_DEVIATIONS
        return mean + deviations * sqrt(variance / count) < 0
