"""Responses in the background as clients see them: accepted, looked at, streamed, cancelled.

A request is accepted once it lies in PostgreSQL, and made by a workflow of its own. What is read
here is what the worker has written; no request of a client ever makes an answer.
"""

import contextlib
import hashlib
import os
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

from gateway import wire
from gateway.context import RequestContext
from gateway.durable import BackgroundInput, DurableEngine, DurableUnavailableError
from gateway.errors import ConflictError, GatewayError, InvalidRequestError, NotFoundError
from gateway.pipeline.background_ends import CANCELLED, NOT_IN_TIME, ended_without_answer
from gateway.pipeline.background_stream import BackgroundStream
from gateway.pipeline.background_vault import BackgroundVault
from gateway.pipeline.chat import ChatPipeline
from gateway.pipeline.reply import LiveReply, WriteNow
from gateway.pipeline.responses import ResponsesPipeline
from gateway.protocols.background import CHAT, RESPONSES, queued
from gateway.protocols.openai_responses import stored_input
from gateway.protocols.openai_responses_output import shown_items
from gateway.protocols.shared.reading import invalid, optional_bool
from gateway.storage.background_store import BackgroundRow, BackgroundStore, NewBackground
from gateway.structs import Struct
from gateway.turns.responses import Order, Page, page_of
from gateway.wire import JSONObject

_WINDOW = timedelta(hours=24)
_WORKFLOW_ENDS_WITHIN = timedelta(minutes=10)
_KEY_CHARS = 255
_PREFIXES = {RESPONSES: "resp_bg", CHAT: "chatcmpl-bg"}


class Accepted:
    """The answer to a request that is made in the background."""

    stream = False
    keep_alive = b""

    def __init__(self, shown: JSONObject, status: int) -> None:
        self.status = status
        self._shown = shown

    async def next(self) -> bytes | None:
        """Not for answers that are whole."""
        raise RuntimeError("this reply is not streamed")

    async def pass_on(self, write: WriteNow) -> None:
        """Not for answers that are whole."""

    async def whole(self) -> bytes:
        """What there is to say so far."""
        return wire.dumps(self._shown)

    def interrupt(self, error: GatewayError) -> bytes:  # noqa: ARG002 - of streams only
        """Nothing more is said."""
        return b""

    def settle(self) -> None:
        """Nothing is held."""


class BackgroundResponses(Struct, frozen=True):
    """Serves `background: true` of Responses, and `Prefer: respond-async` of chat completions.

    What asks for neither is answered live.
    """

    store: BackgroundStore
    vault: BackgroundVault
    chat: ChatPipeline
    responses: ResponsesPipeline
    durable: DurableEngine
    kept_days: int

    # --- accepting ---

    async def open_response(self, context: RequestContext, body: bytes) -> LiveReply:
        """The reply to `POST /v1/responses`."""
        if b'"background"' in body:
            asked = wire.loads_object(body)
            if optional_bool(asked.get("background"), "background"):
                return await self._accept(context, RESPONSES, asked, body)
        return await self.responses.open_response(context, body)

    def open_chat(self, context: RequestContext, body: bytes) -> Awaitable[LiveReply]:
        """The reply to `POST /v1/chat/completions`."""
        if "prefer" in context.headers and _prefers_async(context.headers["prefer"]):
            return self._accept(context, CHAT, wire.loads_object(body), body)
        return self.chat.open_chat(context, body)

    async def _accept(
        self, context: RequestContext, endpoint: str, asked: JSONObject, data: bytes
    ) -> LiveReply:
        """The reply to a request that is stored now, or was before under the same key."""
        with self.chat.live.accounting.refusals(context):
            await self._check(context, endpoint, asked, data)
        streamed = bool(asked.pop("stream", False))
        asked.pop("background", None)
        new = self._new(context, endpoint, asked, data)
        row, is_new = await self.store.create(new)
        if not is_new and (row.body_digest, row.endpoint) != (new.body_digest, endpoint):
            raise ConflictError("this Idempotency-Key was used for another request")
        if is_new:
            await self._start(row)
        if self.responses.live.from_simulator:
            context.set_header("X-Model-Source", "simulator")
        if endpoint == CHAT:
            context.set_header("Location", f"{CHAT}/{row.id}")
            context.set_header("Preference-Applied", "respond-async")
        if streamed:
            return BackgroundStream(self.store, self.vault, row, -1)
        shown = await self._shown(row)
        return Accepted(shown, 202 if endpoint == CHAT and not row.has_ended else 200)

    async def _check(
        self, context: RequestContext, endpoint: str, asked: JSONObject, data: bytes
    ) -> None:
        """Raises what the request would be refused with later."""
        if endpoint == CHAT:
            self.chat.check(data)
        elif optional_bool(asked.get("store"), "store") is False:
            raise invalid("store", "must not be false: a response in the background is stored")
        else:
            await self.responses.check(context, data)

    def _new(
        self, context: RequestContext, endpoint: str, asked: JSONObject, data: bytes
    ) -> NewBackground:
        caller, now = context.known_caller(), datetime.now(UTC)
        response_id = _PREFIXES[endpoint] + os.urandom(23).hex()
        shown = queued(endpoint, response_id, asked, int(now.timestamp()))
        project = caller.project.id
        return NewBackground(
            id=response_id,
            project_id=project,
            key_id=caller.key_id,
            endpoint=endpoint,
            request=self.vault.seal(project, response_id, "request", wire.dumps(asked)),
            shown=self.vault.seal(project, response_id, "shown", wire.dumps(shown)),
            idempotency_key=_idempotency_key(context),
            body_digest=hashlib.sha256(data).digest(),
            created_at=now,
            expires_at=now + _WINDOW,
            kept_until_at=now + timedelta(days=self.kept_days),
        )

    async def _start(self, row: BackgroundRow) -> None:
        """Starts the workflow; when the engine is down the sweep does, with the same id."""
        with contextlib.suppress(DurableUnavailableError):
            await self.durable.start_background(background_input(row))
            await self.store.workflow_started(row.id)

    # --- looking ---

    async def find(self, project: str, response_id: str, endpoint: str) -> BackgroundRow | None:
        """The response of that id; None when it was never one in the background.

        Raises NotFoundError for one that is gone, or of another project or endpoint.
        """
        if not response_id.startswith(_PREFIXES[endpoint]):
            return None
        row = await self.store.get(response_id, project)
        if not row.has_ended and row.expires_at + _WORKFLOW_ENDS_WITHIN < datetime.now(UTC):
            # Its workflow was ended by hand: nobody else will write an end.
            return await ended_without_answer(self.store, self.vault, row, NOT_IN_TIME, row.usage)
        return row

    async def shown(self, row: BackgroundRow, *, encrypted: bool = True) -> JSONObject:
        """A response as it stands. `encrypted`: reasoning comes with what reads it back."""
        shown = await self._shown(row)
        if row.endpoint == RESPONSES:
            shown["output"] = shown_items(shown["output"], encrypted=encrypted)
        return shown

    def streamed(self, row: BackgroundRow, after: int) -> BackgroundStream:
        """The stream of a response behind event `after`; -1 for all of it."""
        return BackgroundStream(self.store, self.vault, row, after)

    async def input_items(
        self, row: BackgroundRow, after: str | None, limit: int, order: Order
    ) -> Page:
        """A page of what was said to a response."""
        with contextlib.suppress(NotFoundError):
            return await self.responses.stored.input_items(
                row.project_id, row.id, after, limit, order
            )
        sealed = await self.store.request(row.id)
        asked = self.vault.open_json(row.project_id, row.id, "request", sealed)
        return page_of(stored_input(asked, row.id, lambda _: None), after, limit, order)

    async def _shown(self, row: BackgroundRow) -> JSONObject:
        sealed = await self.store.shown(row.id)
        shown = self.vault.open_json(row.project_id, row.id, "shown", sealed)
        if row.endpoint == RESPONSES or not row.has_ended:
            shown["status"] = row.status
        return shown

    # --- ordering ---

    async def cancel(self, row: BackgroundRow) -> BackgroundRow:
        """Ends a response; one that has ended stays as it is."""
        ended = await ended_without_answer(self.store, self.vault, row, CANCELLED)
        with contextlib.suppress(DurableUnavailableError):
            await self.durable.cancel_background(row.id)
        return ended

    async def delete(self, row: BackgroundRow) -> None:
        """Removes a response, after ending it."""
        if not row.has_ended:
            await self.cancel(row)
        await self.store.delete(row.id)
        with contextlib.suppress(NotFoundError):
            await self.responses.stored.delete(row.project_id, row.id)


def background_input(row: BackgroundRow) -> BackgroundInput:
    """What the workflow of a response is started with."""
    left = (row.expires_at - datetime.now(UTC)).total_seconds()
    return BackgroundInput(row.id, row.project_id, round(left, 1))


def _prefers_async(value: str) -> bool:
    """Whether a Prefer header (RFC 7240) names respond-async."""
    preferences = (each.partition(";")[0].strip().lower() for each in value.split(","))
    return "respond-async" in preferences


def _idempotency_key(context: RequestContext) -> str | None:
    key = context.headers.get("idempotency-key")
    if key is not None and len(key) > _KEY_CHARS:
        raise InvalidRequestError(f"Idempotency-Key is longer than {_KEY_CHARS} characters")
    return key or None
