"""GET /v1/models and GET /v1/models/{id}."""

from urllib.parse import parse_qs

from simulator.errors import invalid
from simulator.exchange import Exchange
from simulator.models import Model
from simulator.state import State
from simulator.validation.request import header_version

_DEFAULT_LIMIT = 20
_MAX_LIMIT = 1000
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
    page, more = _page(models, query)
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


def _page(models: list[Model], query: dict[str, list[str]]) -> tuple[list[Model], bool]:
    limit = _limit(query.get("limit", [str(_DEFAULT_LIMIT)])[0])
    ids = [model.id for model in models]
    after, before = query.get("after_id"), query.get("before_id")
    if after and after[0] in ids:
        models = models[ids.index(after[0]) + 1 :]
    elif before and before[0] in ids:
        models = models[: ids.index(before[0])]
        return models[-limit:], len(models) > limit
    return models[:limit], len(models) > limit


def _limit(value: str) -> int:
    if not value.isdigit() or not 1 <= int(value) <= _MAX_LIMIT:
        raise invalid("limit", f"Input should be between 1 and {_MAX_LIMIT}")
    return int(value)
