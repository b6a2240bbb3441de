"""Routing by keywords alone: heavy classes to the heavy model, everything else to the default."""

from gateway.routing.task_features import TaskFeatures
from gateway.routing.task_words import HEAVY_CLASSES


def wants_heavy(features: TaskFeatures) -> bool:
    """True for architecture, production incidents, security and migrations."""
    return features.task_class in HEAVY_CLASSES
