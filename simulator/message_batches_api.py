"""The Message Batches API under /v1/messages/batches."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from simulator.batch_answers import answer_all
from simulator.batch_faults import BatchFault
from simulator.errors import ApiError, invalid
from simulator.exchange import Exchange
from simulator.message_batches import BatchTimes, MessageBatch, clock
from simulator.messages_api import parse
from simulator.paging import page_of
from simulator.shape import Fields, array, mapping, string
from simulator.state import State
from simulator.validation.request import header_betas, header_version
from simulator.wire import Json, JsonValue, dumps

PATH = "/v1/messages/batches"
MAX_REQUESTS = 100_000
MAX_BYTES = 256 * 1024 * 1024
_RECORDED_BYTES = 1024 * 1024
_WRITE_BYTES = 64 * 1024
_CUSTOM_ID = string(1, 64, r"^[a-zA-Z0-9_-]{1,64}$")
_SHAPE = Fields({"requests": array(Fields({"custom_id": _CUSTOM_ID, "params": mapping}, {}))}, {})


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the API: whose, about which batch, with which body, and what is to go wrong."""

    state: State
    exchange: Exchange
    account: str
    batch_id: str = ""
    body: bytes = b""
    fault: BatchFault | None = None

    def batch(self) -> MessageBatch:
        """The batch, as it is by now; 404 when the account has none of that id."""
        batch = self.state.batches.find(self.account, self.batch_id)
        if batch is None:
            raise ApiError(404, f"Message Batch with id {self.batch_id} not found")
        batch.settle(clock(), times(self.state))
        return batch

    def shown(self, batch: MessageBatch) -> Json:
        """The batch as it is answered."""
        host = self.exchange.headers.get("host", "localhost")
        return batch.shown(f"http://{host}", clock(), times(self.state))


Handler = Callable[[Call], Awaitable[Json]]


def times(state: State) -> BatchTimes:
    """How fast batches go, by the settings."""
    settings = state.settings
    return BatchTimes(
        settings.batch_seconds,
        settings.batch_cancel_seconds,
        settings.batch_expiry_seconds,
        settings.batch_first_share,
    )


async def message_batches(state: State, exchange: Exchange, path: str, account: str) -> None:
    """Answers a call of the API; `path` begins with `PATH`."""
    header_version(exchange.headers)
    header_betas(exchange.headers)
    batch_id, _, action = path.removeprefix(PATH).lstrip("/").partition("/")
    name = _call_name(exchange.method, batch_id, action)
    body = await exchange.read_body(MAX_BYTES)
    if len(body) > _RECORDED_BYTES:
        exchange.record.body = b""
    call = Call(state, exchange, account, batch_id, body, state.batch_faults.take(name))
    async with exchange.watching():
        await _serve(call, name)


async def _serve(call: Call, name: str) -> None:
    fault = call.fault
    if fault is None:
        await _answered(call, name)
        return
    await call.exchange.pause(fault.head_delay_seconds)
    if fault.done and name in _HANDLERS:
        await _HANDLERS[name](call)
    if fault.error is not None:
        raise fault.error
    if fault.cut:
        await call.exchange.cut(fault.reset)
    elif not fault.done:
        await _answered(call, name)


async def _answered(call: Call, name: str) -> None:
    if name == "results":
        await _send_results(call)
    else:
        await call.exchange.answer_json(200, await _HANDLERS[name](call))


def _call_name(method: str, batch_id: str, action: str) -> str:
    name = _NAMES.get((method, bool(batch_id), action))
    if name is not None:
        return name
    if any(known[1:] == (bool(batch_id), action) for known in _NAMES):
        raise ApiError(405, "Method Not Allowed")
    raise ApiError(404, "Not Found")


async def _create(call: Call) -> Json:
    requests = _checked(parse(call.body))
    batch = MessageBatch(
        account=call.account,
        custom_ids=[request["custom_id"] for request in requests],
        params=[dumps(request["params"]) for request in requests],
        created_at=clock(),
    )
    _check_queue(call, len(requests))
    call.state.batches.add(batch)
    batch.work = asyncio.create_task(answer_all(call.state, batch, call.exchange.headers))
    return call.shown(batch)


def _checked(body: JsonValue) -> list[Json]:
    """The requests of a body; 400 unless they can be told apart. Params are looked at later."""
    if not isinstance(body, dict):
        raise invalid("", "Input should be a valid dictionary")
    _SHAPE(body, "")
    requests: list[Json] = body["requests"]
    if not requests:
        raise invalid("requests", "List should have at least 1 item after validation, not 0")
    if len(requests) > MAX_REQUESTS:
        raise invalid(
            "requests", f"List should have at most {MAX_REQUESTS} items, not {len(requests)}"
        )
    seen: set[str] = set()
    for index, request in enumerate(requests):
        custom_id = request["custom_id"]
        if custom_id in seen:
            raise invalid(f"requests.{index}.custom_id", f"'{custom_id}' is not unique")
        seen.add(custom_id)
    return requests


def _check_queue(call: Call, more: int) -> None:
    """Requests of all batches that are not ended are limited together."""
    waiting = 0
    for batch in call.state.batches.newest_first(call.account):
        batch.settle(clock(), times(call.state))
        waiting += 0 if batch.ended_at is not None else len(batch.custom_ids)
    limit = int(call.state.settings.batch_queue_requests)
    if waiting + more > limit:
        raise ApiError(
            429,
            f"This request would exceed the limit of {limit} requests in the processing queue of "
            "Message Batches.",
            retry_after="30",
        )


async def _get(call: Call) -> Json:
    return call.shown(call.batch())


async def _list(call: Call) -> Json:
    batches = call.state.batches.newest_first(call.account)
    page, more = page_of(batches, call.exchange.query)
    for batch in page:
        batch.settle(clock(), times(call.state))
    return {
        "data": [call.shown(batch) for batch in page],
        "has_more": more,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


async def _cancel(call: Call) -> Json:
    batch = call.batch()
    if batch.ended_at is not None:
        raise ApiError(400, f"Batch {batch.id} cannot be canceled because it has already ended")
    if batch.cancel_initiated_at is None:
        batch.cancel_initiated_at = clock()
    return call.shown(batch)


async def _delete(call: Call) -> Json:
    batch = call.batch()
    if batch.ended_at is None:
        raise ApiError(400, f"Batch {batch.id} cannot be deleted before it has ended; cancel it")
    call.state.batches.remove(batch)
    return {"id": batch.id, "type": "message_batch_deleted"}


async def _send_results(call: Call) -> None:
    """Streams the results; a fault may close the connection after some lines."""
    batch, exchange, fault = call.batch(), call.exchange, call.fault
    if batch.ended_at is None or batch.is_archived(clock()):
        raise ApiError(404, f"Batch {batch.id} has no results available")
    shuffled = call.state.settings.batch_results_shuffled
    await exchange.start(200, [(b"content-type", b"application/x-jsonl")])
    held = bytearray()
    for sent, line in enumerate(batch.lines(secrets.token_bytes(8) if shuffled else b"")):
        if fault is not None and fault.cut_lines == sent:
            await exchange.write(bytes(held))
            await exchange.cut(fault.reset)
            return
        held += line
        if len(held) >= _WRITE_BYTES:
            await exchange.write(bytes(held))
            held.clear()
            await asyncio.sleep(0)
    await exchange.finish(bytes(held))


_HANDLERS: dict[str, Handler] = {
    "create": _create,
    "get": _get,
    "list": _list,
    "cancel": _cancel,
    "delete": _delete,
}
_NAMES: dict[tuple[str, bool, str], str] = {
    ("POST", False, ""): "create",
    ("GET", False, ""): "list",
    ("GET", True, ""): "get",
    ("DELETE", True, ""): "delete",
    ("POST", True, "cancel"): "cancel",
    ("GET", True, "results"): "results",
}
