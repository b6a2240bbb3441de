"""Writes the summary of the beginning of a conversation: off the live path, paid for visibly."""

import time
from typing import Protocol

from gateway.catalog.models import Catalog, Model
from gateway.durable import context_summary_id
from gateway.errors import UpstreamError
from gateway.protocols.shared.usage import UsageMeter
from gateway.reduction.context_summary import SummarySource, SummaryStore
from gateway.reduction.context_transcript import INSTRUCTIONS, request_text
from gateway.structs import Struct
from gateway.upstream.messages_client import MOST_TOKENS, Answered, MessagesClient
from gateway.usage.events import (
    Outcome,
    RequestOpened,
    TokenUsage,
    UsageEvent,
    close_event,
    new_event_id,
    now,
)
from gateway.usage.pricing import cost_usd
from gateway.wire import JSONObject

ENDPOINT = "context_summary"
"""What summaries go by in usage rows, where requests have their path."""

_CALLER = "gateway"
_CHARS_PER_TOKEN = 3
_THINKING_TOKENS = 4_000  # room for models that cannot do without


class Journal(Protocol):
    """Where usage is noted, see `gateway.usage.journal`."""

    def close(self, event: UsageEvent) -> None:
        """Note the end of a request."""


class Written(Struct, frozen=True):
    """What writing a summary came to; zeros when there was nothing to do."""

    chars: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class SummaryWriter(Struct, frozen=True):
    """Asks `model` for summaries. `upstream` is its name in usage rows."""

    store: SummaryStore
    client: MessagesClient
    journal: Journal
    catalog: Catalog
    model: Model
    upstream: str

    async def write(self, project: str, key: str) -> Written:
        """Writes a summary, unless it is there or its source is gone. Safe to run twice.

        Every answer leaves one usage event, before anything else can fail. Raises UpstreamError and
        ValkeyDown.
        """
        if await self.store.find(project, key) is not None:
            return Written()
        source = await self.store.source(project, key)
        if source is None:
            return Written()
        started_at, began = now(), time.monotonic()
        answered = await self._ask(source)
        opened = RequestOpened(
            event_id=new_event_id(),
            day=started_at[1],
            started_at=started_at[0],
            project=project,
            key_id=_CALLER,
            request_id=context_summary_id(key),
            endpoint=ENDPOINT,
            client=_CALLER,
            asked_model=self.model.id,
            model=self.model.id,
            upstream=self.upstream,
        )
        self._note(opened, answered.usage, time.monotonic() - began)
        if not answered.text or answered.usage.stop_reason == "refusal":
            raise UpstreamError("the model gave no summary")
        summary = answered.text[: source.max_chars]
        await self.store.save(project, key, summary)
        used = answered.usage
        return Written(len(summary), used.prompt_tokens, used.output_tokens)

    async def _ask(self, source: SummarySource) -> Answered:
        try:
            return await self.client.ask(_request(self.model, source))
        except UpstreamError as error:
            # Its own words may quote the conversation, and errors end up in the history.
            raise UpstreamError(
                "the upstream wrote no summary",
                code=error.code,
                retry_after_seconds=error.retry_after_seconds,
                retryable=error.retryable,
            ) from None

    def _note(self, opened: RequestOpened, meter: UsageMeter, seconds: float) -> None:
        numbers = TokenUsage.__struct_fields__
        usage = TokenUsage(**{name: getattr(meter, name) for name in numbers})
        cost = cost_usd(self.model, usage)
        outcome = Outcome(
            "ok",
            200,
            model=self.model.id,
            cost_usd=cost,
            price_date=None if cost is None else self.catalog.collected_on,
            latency_ms=seconds * 1000,
        )
        self.journal.close(close_event(opened, outcome, usage))


def _request(model: Model, source: SummarySource) -> JSONObject:
    text = request_text(source.text, source.max_chars)
    room = source.max_chars // _CHARS_PER_TOKEN
    thinking: JSONObject = {}
    if model.thinks_by_default:
        if "disabled" in model.thinking:
            thinking = {"thinking": {"type": "disabled"}}
        else:
            room += _THINKING_TOKENS
    return {
        "model": model.id,
        "max_tokens": min(room, MOST_TOKENS, model.max_output_tokens),
        "system": INSTRUCTIONS,
        "messages": [{"role": "user", "content": text}],
        **thinking,
    }
