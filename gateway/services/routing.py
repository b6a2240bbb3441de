"""The choice of models, built from the settings, and what keeps its knowledge fresh."""

from collections.abc import Coroutine

from gateway.config import Settings
from gateway.routing.names import ModelNames
from gateway.routing.outcomes import OutcomeSnapshot, keep_fresh
from gateway.routing.router import Router
from gateway.services.from_settings import heavy_model
from gateway.storage.routing_outcomes import OutcomeBoard
from gateway.storage.valkey import Valkey


def router_of(settings: Settings, names: ModelNames) -> Router:
    """What decides about models. Raises SettingsError for a model nobody knows."""
    return Router(names, heavy_model(settings, names.catalog), OutcomeSnapshot())


def outcomes_kept_fresh(router: Router, valkey: Valkey) -> Coroutine[object, object, None]:
    """Runs until cancelled: reads what is published of outcomes, every half minute."""
    return keep_fresh(router.outcomes, OutcomeBoard(valkey).read)
