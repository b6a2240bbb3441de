"""GET /v1/models and GET /v1/models/{id}."""

from urllib.parse import parse_qs

from simulator.errors import invalid
from simulator.exchange import Exchange
from simulator.paging import page_of
from simulator.state import State
from simulator.validation.request import header_version

_LIFECYCLES = ("active", "deprecated", "retired")


async def list_models(state: State, exchange: Exchange) -> None:
    """One page of models, newest first: limit, after_id, before_id, lifecycle[]."""
    header_version(exchange.headers)
    query = parse_qs(exchange.query)
    wanted = query.get("lifecycle", []) + query.get("lifecycle[]", [])
    for name in wanted:
        if name not in _LIFECYCLES:
            raise invalid("lifecycle", "Input should be 'active', 'deprecated' or 'retired'")
    models = state.catalogue.listing(wanted or ("active", "deprecated"))
    page, more = page_of(models, exchange.query)
    await exchange.answer_json(
        200,
        {
            "data": [model.info() for model in page],
            "has_more": more,
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
        },
    )


async def get_model(state: State, exchange: Exchange, name: str) -> None:
    """One model by id or alias; 404 when unknown."""
    header_version(exchange.headers)
    await exchange.answer_json(200, state.catalogue.find(name).info())
