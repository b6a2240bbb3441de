"""Words behind a model's name that ask for an effort or a feature: `claude-opus-5-5-thinking-high`.

Clients whose settings have no field for an effort, Cursor above all, choose it by the name of the
model. Ids that really end in such a word are no variants: the longest name that is known wins.
"""

from collections.abc import Iterator

from gateway.catalog.models import EFFORTS, Model
from gateway.protocols.shared.draft import Draft
from gateway.structs import Struct, replace

_MOST_WORDS = 4  # thinking, an effort, 1m, fast
_WIDE_TOKENS = 1_000_000


class Variant(Struct, frozen=True):
    """What the words behind a name ask for. `wide` is the context window of a million tokens."""

    thinking: bool = False
    effort: str | None = None
    wide: bool = False
    fast: bool = False

    def shown(self) -> str:
        """The variant for a response header: `effort=high, thinking`."""
        wishes = (
            f"effort={self.effort}" if self.effort else "",
            "thinking" if self.thinking else "",
            "1m" if self.wide else "",
            "fast" if self.fast else "",
        )
        return ", ".join(wish for wish in wishes if wish)

    def shortcoming(self, model: Model) -> str | None:
        """A sentence about what `model` cannot do of this, None when it can do all."""
        if self.wide and model.context_tokens < _WIDE_TOKENS:
            return f"the context window of {model.id} has {model.context_tokens} tokens"
        return None


def readings(name: str) -> Iterator[tuple[str, Variant]]:
    """`name` with one more word taken off its end each time, and what the words taken ask for.

    Does not yield the name as it stands; ends at a word that asks for nothing, or for something
    that a later word has asked for already.
    """
    variant = Variant()
    for _ in range(_MOST_WORDS):
        if name.endswith("[1m]"):  # as Claude Code writes it
            base, word = name[: -len("[1m]")], "1m"
        else:
            base, _, word = name.rpartition("-")
        wider = _with_word(variant, word)
        if wider is None or not base:
            return
        name, variant = base, wider
        yield name, variant


def _with_word(variant: Variant, word: str) -> Variant | None:
    """`variant` with one more wish; None when `word` is none."""
    if word in EFFORTS and variant.effort is None:
        return replace(variant, effort=word)
    if word == "thinking" and not variant.thinking:
        return replace(variant, thinking=True)
    if word == "1m" and not variant.wide:
        return replace(variant, wide=True)
    if word == "fast" and not variant.fast:
        return replace(variant, fast=True)
    return None


def apply_variant(draft: Draft, variant: Variant | None) -> None:
    """Write the wishes of `variant` into `draft`, where the client itself has said nothing."""
    if variant is None:
        return
    if draft.effort is None and draft.thinking is None:
        draft.effort = variant.effort
        if variant.thinking:
            draft.thinking = {"type": "adaptive"}
    if variant.fast:
        draft.speed_fast = True
