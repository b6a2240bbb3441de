"""The batches of a project: accepted into PostgreSQL, handed to the durable engine, looked at."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

from gateway.batches import anthropic_form, openai_form, short_form
from gateway.batches.checks import ENDPOINTS, ItemChecks
from gateway.batches.input import Asked, InputRefusedError, items_of, items_of_lines
from gateway.context import Caller
from gateway.durable import BatchInput, DurableEngine, DurableUnavailableError
from gateway.errors import ConflictError, InvalidRequestError, NotFoundError
from gateway.protocols.shared.reading import invalid, optional_string, wrong_type
from gateway.storage.batch_items_store import BatchItemStore, FinishedItem, NewItem
from gateway.storage.batch_store import BatchRow, BatchStore, NewBatch
from gateway.storage.file_store import FileStore
from gateway.structs import Struct, field, replace
from gateway.wire import JSON, JSONObject

_WINDOW = timedelta(hours=24)
_KEPT = timedelta(days=29)  # as long as Claude keeps results of its own batches
_PAGE = 200
_SOON_SECONDS, _LATER_SECONDS = 0.2, 2.0  # between looks at a batch that is followed
_ALIVE_SECONDS = 15.0
_FIRST_ERRORS = 5
_OPENAI_ENDPOINTS = ENDPOINTS[:3]


class Sent(Struct, frozen=True):
    """A create call: who makes it, its JSON, and its bytes and key to know it again by."""

    caller: Caller
    body: JSONObject
    data: bytes
    idempotency_key: str | None


class Batches(Struct, frozen=True):
    """Serves the batches of all three forms. `ui_namespace_url` is empty without a Temporal UI."""

    store: BatchStore
    items: BatchItemStore
    files: FileStore
    checks: ItemChecks
    durable: DurableEngine
    ui_namespace_url: str = ""
    # Each holds a connection while it reads a file by another; of few that there are.
    accepting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    # --- accepting ---

    async def create_short(self, sent: Sent) -> JSONObject:
        """A batch in the short form. Raises InvalidRequestError; then nothing is stored."""
        asked = short_form.read_short(sent.body)
        new = replace(
            _new(sent, "short", asked.endpoint),
            mode=asked.mode,
            parallelism=asked.parallelism,
            metadata=asked.metadata,
            webhook=asked.webhook,
            input_file_id=asked.input_file_id,
        )
        items: AsyncIterator[NewItem]
        if asked.requests is not None:
            items = items_of(asked.requests, short_form.read_item, self.checks, asked.endpoint)
        else:
            items = await self._lines(sent, new)
        try:
            return self._short(await self._accept(new, items), [])
        except InputRefusedError as error:
            first = error.problems[0]
            raise InvalidRequestError(
                f"line {first['line']}: {first['message']}",
                param=f"input_file_id.lines[{first['line']}]",
                code=first["code"],
            ) from error

    async def create_openai(self, sent: Sent) -> JSONObject:
        """A batch in OpenAI's form; one whose lines are bad is there, and `failed`."""
        new = _new_openai(sent)
        lines = await self._lines(sent, new)
        try:
            return openai_form.shown(await self._accept(new, lines))
        except InputRefusedError as error:
            refused = replace(new, status="failed", errors=error.problems)
        batch, _ = await self.store.create_batch(refused, ())
        return openai_form.shown(batch)

    async def create_anthropic(self, sent: Sent) -> JSONObject:
        """A batch in the form of Message Batches. Raises InvalidRequestError."""
        requests = short_form.read_requests(sent.body.get("requests"))
        new = _new(sent, "anthropic", "/v1/messages")
        items = items_of(requests, _read_params, self.checks, new.endpoint)
        return anthropic_form.shown(await self._accept(new, items))

    async def _lines(self, sent: Sent, new: NewBatch) -> AsyncIterator[NewItem]:
        project_id, file_id = sent.caller.project.id, new.input_file_id or ""
        try:
            file = await self.files.get(project_id, file_id)
        except NotFoundError as error:
            raise InvalidRequestError(
                "no file of that id", param="input_file_id", code="file_not_found"
            ) from error
        if file.purpose != "batch":
            raise invalid("input_file_id", "must be a file with the purpose batch")
        return items_of_lines(self.files.content(file.id), self.checks, new.endpoint)

    async def _accept(self, new: NewBatch, items: AsyncIterable[NewItem]) -> BatchRow:
        """The batch, stored; or the one that this key has made before."""
        async with self.accepting:
            batch, is_new = await self.store.create_batch(new, items)
        if not is_new:
            if batch.body_digest != new.body_digest or batch.form != new.form:
                raise ConflictError("this Idempotency-Key was used for another batch")
            return batch
        return await self._start(batch)

    async def _start(self, batch: BatchRow) -> BatchRow:
        """Starts the workflow; when the engine is down the sweep does, with the same id."""
        with contextlib.suppress(DurableUnavailableError):
            await self.durable.start_batch(BatchInput(batch.id, batch.project_id))
            await self.store.workflow_started(batch.id)
        return batch

    # --- looking ---

    async def get_short(self, project_id: str, batch_id: str) -> JSONObject:
        """A batch of any form, in the short one. Raises NotFoundError."""
        batch = await self.store.get(batch_id, project_id)
        errors = await self.items.first_errors(batch.id, _FIRST_ERRORS) if batch.failed else []
        return self._short(batch, errors)

    async def get(self, project_id: str, batch_id: str, form: str) -> BatchRow:
        """A batch that was made in this form. Raises NotFoundError."""
        batch = await self.store.get(batch_id, project_id)
        if batch.form != form:
            raise NotFoundError(f"No such batch: {batch_id[:100]}", param="batch_id")
        return batch

    async def page_short(self, project_id: str, limit: int, after: str | None) -> JSONObject:
        """A page of the batches of all forms, the newest first."""
        found = await self.store.page(project_id, limit + 1, after=after)
        data = [self._short(batch, []) for batch in found[:limit]]
        return _listed(data, has_more=len(found) > limit)

    async def page_openai(self, project_id: str, limit: int, after: str | None) -> JSONObject:
        """A page of batches in OpenAI's form."""
        found = await self.store.page(project_id, limit + 1, form="openai", after=after)
        data = [openai_form.shown(batch) for batch in found[:limit]]
        return {"object": "list", **_listed(data, has_more=len(found) > limit)}

    async def page_anthropic(
        self, project_id: str, limit: int, after: str | None, before: str | None
    ) -> JSONObject:
        """A page of Message Batches."""
        found = await self.store.page(
            project_id, limit + 1, form="anthropic", after=after, before=before
        )
        backwards = before is not None and after is None
        kept = found[-limit:] if backwards else found[:limit]
        data = [anthropic_form.shown(batch) for batch in kept]
        return _listed(data, has_more=len(found) > limit)

    async def results(
        self, batch: BatchRow, render: Callable[[FinishedItem], bytes], after: int = -1
    ) -> AsyncIterator[bytes]:
        """The lines of all items that are finished now, behind number `after`."""
        while page := await self.items.results(batch.id, after, _PAGE):
            yield b"".join([render(item) + b"\n" for item in page])
            after = page[-1].number

    async def followed(
        self, batch: BatchRow, render: Callable[[FinishedItem], bytes]
    ) -> AsyncIterator[bytes]:
        """The lines of all items, each when it is finished, until the batch has ended.

        An empty line now and then keeps the connection alive. None of the database is held between.
        """
        last: FinishedItem | None = None
        pause, silent = _SOON_SECONDS, 0.0
        while True:
            batch = await self.store.get(batch.id)
            if page := await self.items.finished_after(batch.id, last, _PAGE):
                yield b"".join([render(item) + b"\n" for item in page])
                last, pause, silent = page[-1], _SOON_SECONDS, 0.0
                continue
            if batch.has_ended:
                return
            await asyncio.sleep(pause)
            silent += pause
            pause = min(2 * pause, _LATER_SECONDS)
            if silent >= _ALIVE_SECONDS:
                silent = 0.0
                yield b"\n"

    async def results_page(self, batch: BatchRow, after: int, limit: int) -> bytes:
        """The lines of up to `limit` finished items in the short form."""
        page = await self.items.results(batch.id, after, limit)
        return b"".join([short_form.line(item) + b"\n" for item in page])

    # --- ordering ---

    async def cancel(self, batch: BatchRow) -> BatchRow:
        """Ends a batch; what is under way is finished or given up by its workflow."""
        moved = await self.store.set_status(batch.id, "cancelling")
        with contextlib.suppress(DurableUnavailableError):
            await self.durable.cancel_batch(batch.id)
        return moved

    async def pause(self, project_id: str, batch_id: str) -> JSONObject:
        """No item is begun until the batch goes on."""
        batch = await self.store.get(batch_id, project_id)
        moved = await self.store.set_status(batch.id, "paused")
        with contextlib.suppress(DurableUnavailableError):
            await self.durable.pause_batch(batch.id)
        return self._short(moved, [])

    async def resume(self, project_id: str, batch_id: str) -> JSONObject:
        """A paused batch goes on."""
        batch = await self.store.get(batch_id, project_id)
        if batch.status not in {"paused", "in_progress"}:
            raise InvalidRequestError("the batch is not paused", code="batch_status")
        moved = await self.store.set_status(batch.id, "in_progress", paused_at=None)
        with contextlib.suppress(DurableUnavailableError):
            await self.durable.resume_batch(batch.id)
        return self._short(moved, [])

    async def retry(self, project_id: str, batch_id: str) -> JSONObject:
        """Failed items of a batch that has ended are executed once more."""
        batch = await self.store.get(batch_id, project_id)
        if not batch.has_ended:
            raise InvalidRequestError("the batch has not ended", code="batch_status")
        if not await self.items.retry_failed(batch.id):
            raise InvalidRequestError("no item of the batch has failed", code="batch_status")
        return self._short(await self._start(await self.store.get(batch.id)), [])

    async def delete(self, project_id: str, batch: BatchRow) -> None:
        """Removes a batch that has ended, with its results."""
        await self.store.delete(batch.id, project_id)

    def _short(self, batch: BatchRow, errors: list[JSONObject]) -> JSONObject:
        return short_form.shown(batch, errors, self.ui_namespace_url)


def _listed(data: list[JSONObject], *, has_more: bool) -> JSONObject:
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"data": data, "first_id": first, "last_id": last, "has_more": has_more}


def _new(sent: Sent, form: str, endpoint: str) -> NewBatch:
    now = datetime.now(UTC)
    prefix = "msgbatch_" if form == "anthropic" else "batch_"
    return NewBatch(
        id=prefix + os.urandom(12).hex(),
        project_id=sent.caller.project.id,
        key_id=sent.caller.key_id,
        form=form,
        endpoint=endpoint,
        idempotency_key=sent.idempotency_key,
        body_digest=hashlib.sha256(sent.data).digest(),
        expires_at=now + _WINDOW,
        results_expire_at=now + _KEPT,
    )


def _new_openai(sent: Sent) -> NewBatch:
    body = sent.body
    endpoint = optional_string(body.get("endpoint"), "endpoint")
    if endpoint not in _OPENAI_ENDPOINTS:
        raise invalid("endpoint", "must be one of " + ", ".join(_OPENAI_ENDPOINTS))
    if body.get("completion_window") != "24h":
        raise invalid("completion_window", "must be 24h")
    file_id = optional_string(body.get("input_file_id"), "input_file_id")
    if not file_id:
        raise invalid("input_file_id", "is required", "missing_required_parameter")
    metadata = short_form.read_metadata(body)
    mode = (metadata or {}).get("mode", "auto")
    return replace(
        _new(sent, "openai", endpoint),
        mode=mode if mode in short_form.MODES else "auto",
        metadata=metadata,
        input_file_id=file_id,
        output_expires_seconds=_output_seconds(body.get("output_expires_after")),
    )


def _output_seconds(given: JSON) -> int | None:
    name = "output_expires_after"
    if given is None:
        return None
    if not isinstance(given, dict):
        raise wrong_type(name, "an object", given)
    if given.get("anchor") != "created_at":
        raise invalid(f"{name}.anchor", "must be created_at")
    seconds = given.get("seconds")
    if not isinstance(seconds, int) or not 3_600 <= seconds <= 2_592_000:
        raise invalid(f"{name}.seconds", "must be 3600 to 2592000")
    return seconds


def _read_params(request: JSON, number: int) -> Asked:
    path = f"requests[{number}]"
    if not isinstance(request, dict):
        raise wrong_type(path, "an object", request)
    params = request.get("params")
    if isinstance(params, dict) and params.get("stream"):
        raise invalid(f"{path}.params.stream", "cannot be true in a batch")
    return Asked(request.get("custom_id"), params, f"{path}.params")
