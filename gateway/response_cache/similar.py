"""Questions whose meaning is near, found by the vectors of a provider of embeddings.

In memory of this process, a bounded number for each project. Two questions can only be alike when
all else of their requests is the same. Vectors blur what decides in a question about code, so
numbers, names, code and negations have to be the same too, word for word.

The nearest of 300 vectors of 1,536 numbers takes half a millisecond instead of thirty: all are
ranked by the signs of their numbers, one integer each, and only the best are multiplied out.
"""

import math
import re
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from heapq import nsmallest
from operator import mul
from typing import Protocol

from gateway.response_cache.question import Likeness
from gateway.structs import Struct

MAX_QUESTIONS = 300
"""How many questions of a project are remembered."""

_MAX_PROJECTS = 16
_MULTIPLIED = 8
_PARTICULARS = re.compile(
    r"""["`][^"`\n]{1,200}["`]"""  # quoted
    r"""|\S*[\d_/\\=<>{}()\[\]@#$%*+^&|~]\S*"""  # numbers, paths, code
    r"""|\w*[a-z][A-Z]\w*|\w+\.\w+"""  # camelCase, dotted.names
    r"""|(?<=[a-z,;]\ )(?!I\b)[A-Z]\w*"""  # names inside a sentence
    r"""|(?i:\b(?:not|no|never|none|nor|without|except|unless|cannot)\b|\w*n['\u2019]t\b)"""
)
_PUNCTUATION = ".,;:!?"


class Embedder(Protocol):
    """Makes vectors of texts."""

    async def vector(self, text: str) -> Sequence[float] | None:
        """The vector of `text`; None when there is none in time. Never raises."""


class Place(Struct, frozen=True):
    """Where a question stands: its vector, of length 1, and what has to be the same."""

    group: str
    particulars: tuple[str, ...]
    vector: "array[float]"
    signs: int


class Near(Struct, frozen=True):
    """A kept answer to a question that is near: its key and the similarity, up to 1."""

    key: str
    similarity: float


class SimilarQuestions:
    """Remembers questions by their meaning; not thread-safe."""

    def __init__(self, embedder: Embedder, clock: Callable[[], float] = time.monotonic) -> None:
        self._embedder = embedder
        self._clock = clock
        self._projects: OrderedDict[str, OrderedDict[str, tuple[Place, float]]] = OrderedDict()

    async def place(self, like: Likeness) -> Place | None:
        """Where a question stands, None when the provider does not say. Never raises."""
        numbers = await self._embedder.vector(like.text)
        return place_of(like, numbers) if numbers else None

    def nearest(self, project: str, place: Place, threshold: float) -> Near | None:
        """The nearest question of the project that is at least so near."""
        known = self._projects.get(project)
        if known is None:
            return None
        now = self._clock()
        alike = [
            (key, other)
            for key, (other, expires_at) in known.items()
            if expires_at > now and _may_be_alike(place, other)
        ]
        best = nsmallest(
            _MULTIPLIED, alike, key=lambda each: (each[1].signs ^ place.signs).bit_count()
        )
        near = [Near(key, sum(map(mul, place.vector, other.vector))) for key, other in best]
        nearest = max(near, key=lambda each: each.similarity, default=None)
        return nearest if nearest is not None and nearest.similarity >= threshold else None

    def remember(self, project: str, key: str, place: Place, seconds: float) -> None:
        """The answer to the question at `place` is kept under `key` for so long."""
        known = self._projects.setdefault(project, OrderedDict())
        self._projects.move_to_end(project)
        known[key] = (place, self._clock() + seconds)
        known.move_to_end(key)
        if len(known) > MAX_QUESTIONS:
            known.popitem(last=False)
        if len(self._projects) > _MAX_PROJECTS:
            self._projects.popitem(last=False)

    def forget(self, project: str, key: str) -> None:
        """The answer under `key` is gone."""
        self._projects.get(project, OrderedDict()).pop(key, None)


def place_of(like: Likeness, numbers: Sequence[float]) -> Place | None:
    """The place of a question with that vector; None for a vector that points nowhere."""
    length = math.sqrt(sum(map(mul, numbers, numbers)))
    if not math.isfinite(length) or length == 0:
        return None
    vector = array("f", [number / length for number in numbers])
    signs = int("".join(["1" if number > 0 else "0" for number in numbers]), 2)
    return Place(like.group, particulars(like.text), vector, signs)


def particulars(text: str) -> tuple[str, ...]:
    """What has to be the same, word for word, in two questions that are answered alike."""
    return tuple(sorted(word.rstrip(_PUNCTUATION) for word in _PARTICULARS.findall(text)))


def _may_be_alike(place: Place, other: Place) -> bool:
    return (
        place.group == other.group
        and place.particulars == other.particulars
        and len(place.vector) == len(other.vector)
    )
