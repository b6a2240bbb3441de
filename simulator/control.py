"""The control endpoints under /_sim/, for tests: scripts, settings, records, state.

POST /_sim/scripts      a script, a list of them, or {"scripts": [...]}; GET lists, DELETE clears
POST /_sim/batch_faults a fault of the Message Batches API or a list of them, see
                        `batch_faults`; DELETE clears
PUT /_sim/settings      some settings of `state.CHANGEABLE`; GET shows all
GET /_sim/requests      records, oldest first; ?path= and ?limit=; DELETE clears
GET /_sim/state         open streams and totals
POST /_sim/reset        everything back to the start

They need no key, are not recorded, and can be switched off (`--no-control`).
"""

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from simulator.errors import ApiError, invalid
from simulator.exchange import Exchange
from simulator.messages_api import parse
from simulator.state import CHANGEABLE, State, changed
from simulator.wire import Json

PREFIX = "/_sim/"
Handler = Callable[[State, Exchange], Awaitable[Json]]


async def control(state: State, exchange: Exchange) -> None:
    """Answers a control request."""
    handlers = _HANDLERS.get(exchange.path.removeprefix(PREFIX))
    if handlers is None:
        raise ApiError(404, "Not Found")
    handler = handlers.get(exchange.method)
    if handler is None:
        raise ApiError(405, "Method Not Allowed")
    await exchange.answer_json(200, await handler(state, exchange))


async def _add_scripts(state: State, exchange: Exchange) -> Json:
    value = parse(await exchange.read_body())
    if isinstance(value, dict) and "scripts" in value:
        value = value["scripts"]
    scripts = value if isinstance(value, list) else [value]
    for script in scripts:
        if not isinstance(script, dict):
            raise invalid("scripts", "every script is an object")
        state.scripts.add(script)
    return {"waiting": len(state.scripts.listing())}


async def _list_scripts(state: State, _exchange: Exchange) -> Json:
    return {"scripts": state.scripts.listing()}


async def _clear_scripts(state: State, _exchange: Exchange) -> Json:
    state.scripts.clear()
    return {"waiting": 0}


async def _add_batch_faults(state: State, exchange: Exchange) -> Json:
    value = parse(await exchange.read_body())
    for fault in value if isinstance(value, list) else [value]:
        if not isinstance(fault, dict):
            raise invalid("batch_faults", "every fault is an object")
        state.batch_faults.add(fault)
    return {"waiting": state.batch_faults.waiting()}


async def _clear_batch_faults(state: State, _exchange: Exchange) -> Json:
    state.batch_faults.clear()
    return {"waiting": 0}


async def _change_settings(state: State, exchange: Exchange) -> Json:
    values = parse(await exchange.read_body())
    if not isinstance(values, dict):
        raise invalid("", "Input should be a valid dictionary")
    state.settings = changed(state.settings, values)
    return await _show_settings(state, exchange)


async def _show_settings(state: State, _exchange: Exchange) -> Json:
    return {name: getattr(state.settings, name) for name in ("instant", *CHANGEABLE)}


async def _list_requests(state: State, exchange: Exchange) -> Json:
    query = parse_qs(exchange.query)
    limit = query.get("limit", ["0"])[0]
    path = query.get("path", [None])[0]
    return {"requests": state.recorder.listing(path, int(limit) if limit.isdigit() else None)}


async def _clear_requests(state: State, _exchange: Exchange) -> Json:
    state.recorder.clear()
    return {"requests": []}


async def _show_state(state: State, _exchange: Exchange) -> Json:
    return {
        **state.counters.as_json(),
        "records": len(state.recorder),
        "scripts_waiting": len(state.scripts.listing()),
        "cached_prefixes": len(state.cache),
        "batches": len(state.batches),
        "batch_faults_waiting": state.batch_faults.waiting(),
    }


async def _reset(state: State, exchange: Exchange) -> Json:
    state.reset()
    return await _show_state(state, exchange)


_HANDLERS: dict[str, dict[str, Handler]] = {
    "scripts": {"POST": _add_scripts, "GET": _list_scripts, "DELETE": _clear_scripts},
    "batch_faults": {"POST": _add_batch_faults, "DELETE": _clear_batch_faults},
    "settings": {"PUT": _change_settings, "POST": _change_settings, "GET": _show_settings},
    "requests": {"GET": _list_requests, "DELETE": _clear_requests},
    "state": {"GET": _show_state},
    "reset": {"POST": _reset},
}
