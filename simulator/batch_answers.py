"""The answers to the requests of a batch, by the engine that answers live requests.

A request that live would be refused is `errored`, as params are looked at only here. What a
script says about delivery means nothing in a batch; an error in it is the result.
"""

import asyncio
from collections.abc import Mapping

from simulator.errors import ApiError, invalid
from simulator.instant_answers import Shape
from simulator.message_batches import MessageBatch, clock
from simulator.messages_api import choose_plan, compose, prepare
from simulator.state import State
from simulator.wire import Json, dumps, loads, new_id

_NOT_IN_BATCHES = ("speed", "stream", "thread")


async def answer_all(state: State, batch: MessageBatch, headers: Mapping[str, str]) -> None:
    """Makes the answers of a batch in the order of its requests, letting others run in between."""
    for number, params in enumerate(batch.params):
        try:
            result: Json = {"type": "succeeded", "message": _answer(state, batch, headers, params)}
        except ApiError as error:
            batch.errored.add(number)
            result = {"type": "errored", "error": error.body(new_id("req_"))}
        batch.answers.append(dumps(result))
        await asyncio.sleep(0)
    batch.answered_at = clock()


def _answer(state: State, batch: MessageBatch, headers: Mapping[str, str], params: bytes) -> Json:
    body = loads(params)
    if state.settings.instant:
        message: Json = loads(state.shelf.get(Shape()).json_body)
        return {**message, "id": new_id("msg_"), "usage": _as_batch(message["usage"])}
    _check_params(body)
    prepared = prepare(state, headers, body, batch.account)
    plan, _ = choose_plan(state, headers, prepared.request)
    if plan.error is not None:
        raise plan.error
    answer = compose(state, prepared, plan)
    if prepared.summary_use is not None:
        state.cache.commit(prepared.summary_use)
    state.cache.commit(prepared.use)
    message = answer.message()
    return {**message, "usage": _as_batch(message["usage"])}


def _check_params(body: Json) -> None:
    for name in _NOT_IN_BATCHES:
        if body.get(name):
            raise invalid(name, f"`{name}` is not supported in batch requests")
    if body.get("max_tokens") == 0:
        raise invalid("max_tokens", "`max_tokens: 0` is not supported in batch requests")


def _as_batch(usage: Json) -> Json:
    return {**usage, "service_tier": "batch"}
