"""The smart score of a task: how much it needs the heavy model, 0 to 1, and what it is made of."""

import math

from gateway.routing.task_features import TaskFeatures
from gateway.routing.task_words import HEAVY_CLASSES
from gateway.structs import Struct

_BASE = 0.2
_OF_CLASS = {
    "architecture": 0.36,
    "incident": 0.36,
    "security": 0.36,
    "migration": 0.33,
    "refactor": 0.16,
    "debugging": 0.08,
    "feature": 0.0,
    "tests": -0.05,
    "docs": -0.15,
    "edit": -0.15,
    "question": -0.08,
}
_SMALL_WORK = -0.2
_SECOND_HEAVY_CLASS = 0.12
_LONG_CHARS = 600  # half of the openings people write are shorter
_LONGEST_CHARS = 12_000


class Score(Struct, frozen=True):
    """A score and its parts by name; the parts add up to it but for the limits 0 and 1."""

    value: float
    parts: dict[str, float]


def score_of(features: TaskFeatures) -> Score:
    """How much the task needs the heavy model."""
    heavy = [name for name in features.classes if name in HEAVY_CLASSES]
    parts = {
        "base": _BASE,
        features.task_class: _OF_CLASS.get(features.task_class, 0.0),
        "small": _SMALL_WORK if features.is_small else 0.0,
        "second_class": _SECOND_HEAVY_CLASS if len(heavy) > 1 else 0.0,
        "length": 0.12 * _share(features.chars),
        "tools": min(features.tools, 20) * 0.002,
        "files": min(max(features.files - 1, 0), 6) * 0.03,
        "traces": min(features.traces, 2) * 0.06,
        "steps": min(features.steps, 5) * 0.02,
        "languages": 0.04 if len(features.languages) > 1 else 0.0,
    }
    kept = {name: round(value, 3) for name, value in parts.items() if value}
    return Score(min(max(round(sum(kept.values()), 3), 0.0), 1.0), kept)


def _share(chars: int) -> float:
    """0 for what is short, 1 for the longest, by the logarithm between."""
    if chars <= _LONG_CHARS:
        return 0.0
    span = math.log(_LONGEST_CHARS / _LONG_CHARS)
    return min(math.log(chars / _LONG_CHARS) / span, 1.0)
