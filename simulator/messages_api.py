"""POST /v1/messages and POST /v1/messages/count_tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from simulator import agent, context_edits
from simulator.answer import Answer, Composer, Limits
from simulator.context_edits import Edited
from simulator.delivery import StreamDelivery, rate_limit_headers
from simulator.diagnostics import fingerprint
from simulator.errors import ApiError
from simulator.events import answer_frames
from simulator.exchange import Exchange
from simulator.markers import script_from_text
from simulator.plan import Block, Plan, plan_from
from simulator.prompt import Prompt, canonical
from simulator.prompt_cache import CacheUse
from simulator.state import State
from simulator.thinking_blocks import Review, review, track_to_end
from simulator.validation.request import CheckedRequest
from simulator.validation.thinking import BINDING_BETA
from simulator.wire import Json, JsonError, JsonValue, loads


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked request with what its answer needs.

    `edited` is the request as the model reads it. With a compaction, `summary` is its block,
    `summary_use` what reading the whole context for it takes, and `use` what the answer takes.
    """

    request: CheckedRequest
    reviewed: Review
    edited: Edited
    use: CacheUse
    account: str
    summary: Json | None = None
    summary_use: CacheUse | None = None

    @property
    def prompt(self) -> Prompt:
        """The prompt that is answered."""
        return self.edited.prompt


def parse(body: bytes) -> JsonValue:
    """The decoded body; 400 in the API's words."""
    try:
        return loads(body)
    except JsonError as error:
        raise ApiError(400, f"The request body is not valid JSON: {error}") from error


async def count_tokens(state: State, exchange: Exchange, account: str) -> None:
    """Answers count_tokens: the estimate for the request as it would be read."""
    body = parse(await exchange.read_body())
    request = state.checks.check(body, exchange.headers, counting=True)
    reviewed = review(
        request, state.signer, organization(state, account), state.settings.prefix_binding
    )
    edited = context_edits.edit(request, state.counter, reviewed.dropped)
    counted: Json = {"input_tokens": edited.prompt.tokens}
    if edited.applied is not None:
        counted["context_management"] = {"original_input_tokens": edited.original_tokens}
    await exchange.answer_json(200, counted)


async def create_message(state: State, exchange: Exchange, account: str) -> None:
    """Answers a Messages request, streamed or whole."""
    body = parse(await exchange.read_body())
    async with exchange.watching():
        prepared = prepare(state, exchange.headers, body, account)
        plan, exchange.record.scripted = choose_plan(state, exchange.headers, prepared.request)
        delivery = StreamDelivery(exchange, plan.delivery, state.settings.delta_delay_seconds)
        await exchange.pause(state.settings.head_delay_seconds)
        await delivery.before_head()
        streaming = bool(prepared.request.body.get("stream"))
        if plan.error is not None and not (streaming and plan.error_after_events is not None):
            raise plan.error
        answer = compose(state, prepared, plan)
        exchange.record.usage = answer.usage()
        if prepared.summary_use is not None:
            state.cache.commit(prepared.summary_use)
        state.cache.commit(prepared.use)
        if streaming:
            await _stream(state, delivery, answer, plan)
        else:
            await _whole(exchange, answer, plan)


async def _whole(exchange: Exchange, answer: Answer, plan: Plan) -> None:
    """A non-streaming answer; the cuts of a plan apply to its body."""
    delivery = plan.delivery
    if delivery.cut_bytes is None and delivery.cut_events is None:
        await exchange.answer_json(200, answer.message(), rate_limit_headers())
        return
    await exchange.start(200, [(b"content-type", b"application/json")])
    await exchange.write(b'{"id":"msg_01cut","type":"message"'[: delivery.cut_bytes])
    await exchange.cut(delivery.reset)


async def _stream(state: State, delivery: StreamDelivery, answer: Answer, plan: Plan) -> None:
    state.counters.streams_open += 1
    state.counters.streams_started += 1
    try:
        await delivery.send(answer_frames(answer), plan.error, plan.error_after_events)
    finally:
        state.counters.streams_open -= 1


def organization(state: State, account: str) -> str:
    """Whom thinking blocks are bound to: one organization has all keys, unless set otherwise.

    Prompt caches are kept apart by key in any case, as keys belong to workspaces.
    """
    return account if state.settings.account_per_key else ""


def prepare(state: State, headers: Mapping[str, str], body: JsonValue, account: str) -> Prepared:
    """Checks the request and lays it out; raises the API's errors."""
    request = state.checks.check(body, headers)
    reviewed = review(
        request, state.signer, organization(state, account), state.settings.prefix_binding
    )
    context_edits.check_summaries(request, state.signer)
    edited = context_edits.edit(request, state.counter, reviewed.dropped)
    tokens, window = edited.prompt.tokens, request.model.context
    if tokens > window:
        raise ApiError(400, f"prompt is too long: {tokens} tokens > {window} maximum")
    if state.settings.strict_window and tokens + request.max_tokens > window:
        raise ApiError(
            400,
            f"input length and `max_tokens` exceed context limit: {tokens} + "
            f"{request.max_tokens} > {window}, decrease input length or `max_tokens` and try again",
        )
    use = state.cache.plan(request, edited.prompt, account)
    if edited.compact is None:
        return Prepared(request, reviewed, edited, use, account)
    summary = context_edits.summary_block(edited.request, state.signer)
    after = context_edits.compacted(edited, summary, state.counter)
    use_after = state.cache.plan(request, after.prompt, account)
    return Prepared(request, reviewed, after, use_after, account, summary, use)


def choose_plan(
    state: State, headers: Mapping[str, str], request: CheckedRequest
) -> tuple[Plan, bool]:
    """The plan for a request, and whether a script or the prompt's markers made it."""
    text = agent.newest_user_text(request.messages)
    script = state.scripts.take(text, request.body["model"], headers)
    if script is None and state.settings.markers:
        script = script_from_text(text)
    plan = plan_from(script) if script is not None else Plan()
    if plan.blocks is None:
        plan = replace(plan, blocks=agent.act(request).blocks)
    return plan, script is not None


def compose(state: State, prepared: Prepared, plan: Plan) -> Answer:
    """The answer of a plan under the request's limits."""
    request = prepared.request
    composer = Composer(
        counter=state.counter,
        limits=Limits(
            max_tokens=request.max_tokens,
            window_tokens=request.model.context - prepared.prompt.tokens,
            stop_sequences=tuple(request.body.get("stop_sequences") or ()),
            scale=request.model.token_scale,
        ),
        signer=state.signer,
        tracker=track_to_end(request, organization(state, prepared.account)),
    )
    if prepared.summary is not None:
        composer.tracker.add("assistant", canonical(prepared.summary))
    answer = composer.compose(plan, request.model.id, prepared.use, _extra(state, prepared))
    answer.edits = prepared.edited.applied
    _add_summary(state, prepared, answer)
    if request.body.get("diagnostics") is not None:
        made_from = fingerprint(request, prepared.prompt, prepared.account)
        state.diagnoses.remember(answer.id, made_from)
    return answer


def _add_summary(state: State, prepared: Prepared, answer: Answer) -> None:
    """Put the compaction first in the answer; with a pause it is all there is."""
    block, use = prepared.summary, prepared.summary_use
    if block is None or use is None:
        return
    answer.compaction_usage = {
        "type": "compaction",
        **use.usage(),
        "output_tokens": context_edits.summary_tokens(block, state.counter),
    }
    shown = Block("raw", raw=block)
    if context_edits.wants_pause(prepared.edited.compact or {}):
        answer.blocks, answer.stop_reason = [shown], "compaction"
        answer.output_tokens = answer.thinking_tokens = 0
    else:
        answer.blocks = [shown, *answer.blocks]


def _extra(state: State, prepared: Prepared) -> Json:
    """Fields an answer has only when asked for: `input_transformations`, `diagnostics`."""
    request = prepared.request
    extra: Json = {}
    if BINDING_BETA in request.betas:
        extra["input_transformations"] = list(prepared.reviewed.transformations)
    if request.body.get("diagnostics") is not None:
        found = state.diagnoses.diagnose(request, prepared.prompt, prepared.account)
        extra["diagnostics"] = found
    return extra
