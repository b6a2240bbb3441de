"""Another model when a model cannot be had: overloaded, failing, limited, given a pause.

Only where a project has said so, only before anything was promised to the client, and never in
secret: the answer says which model gave it.
"""

import itertools
from collections.abc import Mapping

from gateway.catalog.models import Catalog, Model
from gateway.errors import GatewayError, UnavailableError, UpstreamError


def parse_chain(text: str, catalog: Catalog) -> dict[str, str]:
    """`claude-opus-5-5>claude-sonnet-5-5,...` as what follows each model, by id.

    Raises ValueError for models nobody knows and for circles.
    """
    following: dict[str, str] = {}
    for link in filter(None, (link.strip() for link in text.split(","))):
        names = [name.strip() for name in link.split(">")]
        models = [catalog.find(name) for name in names]
        if len(names) < 2 or None in models:
            raise ValueError("models of the table, as in claude-opus-5-5>claude-sonnet-5-5")
        ids = [model.id for model in models if model is not None]
        following |= dict(itertools.pairwise(ids))
    for start in following:
        seen = {start}
        at = following.get(start)
        while at is not None:
            if at in seen:
                raise ValueError("the models follow each other in a circle")
            seen.add(at)
            at = following.get(at)
    return following


def next_model(
    fallbacks: Mapping[str, str], model: Model, error: GatewayError, catalog: Catalog
) -> Model | None:
    """The model to ask instead of `model` after `error`; None when the error has to be reported."""
    name = fallbacks.get(model.id)
    if name is None or not _is_about_the_model(error):
        return None
    return catalog.find(name)


def _is_about_the_model(error: GatewayError) -> bool:
    if isinstance(error, UpstreamError):
        return error.retryable and error.upstream_status != 409
    return isinstance(error, UnavailableError)
