"""Which way a batch goes: Claude's own Message Batches, or one request after the other."""

from gateway.durable import BatchMode
from gateway.structs import Struct

LEAST_ITEMS = 100
"""Fewer are not worth the wait, which has no bound below a day."""

URGENT_SECONDS = 6 * 3600.0
"""Message Batches promise an end within a day, and mostly take less than an hour."""


class Choice(Struct, frozen=True):
    """A mode and why it was chosen, in words for people."""

    mode: BatchMode
    reason: str


def choose_mode(
    asked: str, *, endpoint: str, items: int, seconds_left: float, why_not: str | None
) -> Choice:
    """How a batch is executed.

    `why_not` tells why Message Batches cannot be had, None when they can.
    """
    if endpoint == "/v1/embeddings":
        why_not = "embeddings have no batches upstream"
    elif asked == "paced":
        why_not = "asked for"
    if why_not is not None:
        return Choice("paced", why_not)
    if asked == "anthropic":
        return Choice("anthropic", "asked for")
    if items < LEAST_ITEMS:
        return Choice("paced", f"{items} items are done sooner one by one (under {LEAST_ITEMS})")
    if seconds_left < URGENT_SECONDS:
        return Choice("paced", "it is to end within six hours")
    return Choice("anthropic", f"{items} items, not urgent: half the price")
