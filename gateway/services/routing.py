"""The choice of models, built from the settings, and what keeps its knowledge fresh."""

from collections.abc import Coroutine

from gateway.config import Settings, SettingsError
from gateway.routing.names import ModelNames
from gateway.routing.outcomes import OutcomeSnapshot, keep_fresh
from gateway.routing.router import Router
from gateway.storage.routing_outcomes import OutcomeBoard
from gateway.storage.valkey import Valkey


def router_of(settings: Settings, names: ModelNames) -> Router:
    """What decides about models. Raises SettingsError for a model nobody knows."""
    catalog = names.catalog
    heavy = catalog.find(settings.opus_model) or catalog.successor(settings.opus_model)
    if heavy is None:
        raise SettingsError("OPUS_MODEL: no model of that name is in the table")
    return Router(names, heavy, OutcomeSnapshot())


def outcomes_kept_fresh(router: Router, valkey: Valkey) -> Coroutine[object, object, None]:
    """Runs until cancelled: reads what is published of outcomes, every half minute."""
    return keep_fresh(router.outcomes, OutcomeBoard(valkey).read)
