"""Questions of the same meaning, and those that only look alike."""

import math
import random
from collections.abc import Sequence

import pytest

from gateway.response_cache.question import Likeness
from gateway.response_cache.similar import (
    MAX_QUESTIONS,
    Place,
    SimilarQuestions,
    particulars,
    place_of,
)


class NoEmbedder:
    """A provider that is away."""

    async def vector(self, text: str) -> Sequence[float] | None:
        """Nothing."""
        return None


def place(text: str, numbers: Sequence[float], group: str = "g") -> Place:
    made = place_of(Likeness(group, text, 0.9), numbers)
    assert made is not None
    return made


def near(numbers: list[float], similarity: float, chance: random.Random) -> list[float]:
    """A vector of that similarity to `numbers`."""
    length = math.hypot(*numbers)
    unit = [number / length for number in numbers]
    other = [chance.gauss(0, 1) for _ in numbers]
    along = sum(a * b for a, b in zip(unit, other, strict=True))
    across = [b - along * a for a, b in zip(unit, other, strict=True)]
    size = math.hypot(*across)
    rest = math.sqrt(1 - similarity**2)
    return [similarity * a + rest * b / size for a, b in zip(unit, across, strict=True)]


def test_the_nearest_is_found_among_many() -> None:
    chance = random.Random(5)
    index = SimilarQuestions(NoEmbedder())
    numbers = [chance.gauss(0, 1) for _ in range(256)]
    for number in range(MAX_QUESTIONS - 2):
        unlike = [chance.gauss(0, 1) for _ in range(256)]
        index.remember("p", f"k{number}", place("why", unlike), 60)
    index.remember("p", "near", place("why", near(numbers, 0.93, chance)), 60)
    index.remember("p", "nearer", place("why", near(numbers, 0.97, chance)), 60)
    found = index.nearest("p", place("why", numbers), 0.9)
    assert found is not None
    assert found.key == "nearer"
    assert found.similarity == pytest.approx(0.97, abs=1e-4)
    assert index.nearest("p", place("why", numbers), 0.98) is None


def test_projects_groups_and_particulars_are_kept_apart() -> None:
    index = SimilarQuestions(NoEmbedder())
    index.remember("p", "k", place("add 2 and 3", [1.0, 2.0]), 60)
    assert index.nearest("p", place("sum of 2 and 3", [1.0, 2.0]), 0.9) is not None
    assert index.nearest("q", place("sum of 2 and 3", [1.0, 2.0]), 0.9) is None
    assert index.nearest("p", place("sum of 2 and 3", [1.0, 2.0], group="h"), 0.9) is None
    assert index.nearest("p", place("sum of 2 and 4", [1.0, 2.0]), 0.9) is None
    assert index.nearest("p", place("sum of 2 and 3", [1.0, 2.0, 0.0]), 0.9) is None


def test_entries_end_and_the_oldest_make_room() -> None:
    now = [0.0]
    index = SimilarQuestions(NoEmbedder(), clock=lambda: now[0])
    asked = place("why", [1.0, 0.0])
    index.remember("p", "k", asked, 60)
    now[0] = 61.0
    assert index.nearest("p", asked, 0.9) is None
    index.remember("p", "first", asked, 60)
    for number in range(MAX_QUESTIONS):
        index.remember("p", f"k{number}", place("why", [0.0, 1.0]), 60)
    assert index.nearest("p", asked, 0.9) is None
    index.remember("p", "again", asked, 60)
    index.forget("p", "again")
    index.forget("unknown", "again")
    assert index.nearest("p", asked, 0.9) is None


@pytest.mark.parametrize("numbers", [[0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0], []])
def test_a_vector_that_points_nowhere_has_no_place(numbers: list[float]) -> None:
    assert place_of(Likeness("g", "why", 0.9), numbers) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sort a list of 10 items", "sort a list of 20 items"),
        ("what does foo_bar do", "what does foo_baz do"),
        ("what does getUser do", "what does getUsers do"),
        ("explain os.path please", "explain os.walk please"),
        ("should I use eval", "should I not use eval"),
        ("why does it work", "why doesn't it work"),
        ("explain the `map` call", "explain the `filter` call"),
        ("the capital of France", "the capital of Italy"),
    ],
)
def test_p57_what_vectors_blur_must_be_the_same(one: str, other: str) -> None:
    assert particulars(one) != particulars(other)


def test_other_words_for_the_same_have_the_same_particulars() -> None:
    one = "How do I reverse a list in Python 3?"
    other = "what is the best way to reverse a list in Python 3"
    assert particulars(one) == particulars(other) == ("3", "Python")


async def test_without_vectors_there_is_no_place() -> None:
    assert await SimilarQuestions(NoEmbedder()).place(Likeness("g", "why", 0.9)) is None
