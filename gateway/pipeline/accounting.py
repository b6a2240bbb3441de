"""What one live request leaves behind: journal records, metrics and the breaker's count."""

import time
from collections.abc import Callable
from decimal import Decimal

from gateway.catalog.models import Catalog
from gateway.context import RequestContext
from gateway.error_events.recorder import ErrorEvents
from gateway.errors import GatewayError, UpstreamError
from gateway.pipeline.attempts import Begun, FailedAttempt, tell_breaker
from gateway.pipeline.client_identity import client_conversation_key, client_family
from gateway.pipeline.error_notes import attempt_event, refusal_event
from gateway.pipeline.ledger import (
    MESSAGES_ENDPOINT,
    count_cache_tokens,
    count_savings,
    judge_passes,
    prompt_reduction_of,
)
from gateway.protocols.shared.usage import UsageMeter
from gateway.reduction.ledger import was_reduced
from gateway.reduction.pass_guard import PassGuard
from gateway.reduction.report import ReductionReport
from gateway.reliability.limits import micro_dollars
from gateway.reliability.reservation import Reservation
from gateway.routing.names import Route
from gateway.structs import Struct, replace
from gateway.telemetry import series
from gateway.telemetry.metrics import MetricStore
from gateway.usage.events import (
    NOTHING_USED,
    Outcome,
    RequestOpened,
    RoutingNote,
    TokenUsage,
    close_event,
    new_event_id,
    note_fields,
    now,
    used,
)
from gateway.usage.journal import UsageLog
from gateway.usage.pricing import cost_usd
from gateway.usage.savings import ledger_of, savings_of

_ID_CHARS = 200
_FREE = Decimal(0)
_CLIENT_CLOSED = 499  # nginx's status for a client that left; there is none in HTTP


class Asked(Struct, frozen=True):
    """What a client asked for, whatever its protocol. `conversation` is its own key for it.

    `routing` tells how the model was chosen, None where that is not known.
    `reduction` tells what was done to the prompt, None when no pass has seen it; `unmarked` that a
    Messages request came without any cache marks, so that those it was given are the gateway's.
    """

    model: str
    stream: bool
    conversation: str | None = None
    routing: RoutingNote | None = None
    reduction: ReductionReport | None = None
    unmarked: bool = False


class Accounting(Struct, frozen=True):
    """Opens the account of each request. `upstream` is the name in usage rows.

    `journal` is the process's own, or what collects usage that is stored with something else.
    `pass_guard` is told what the rewriting passes gained; `errors` keeps what went wrong.
    """

    journal: UsageLog
    metrics: MetricStore
    catalog: Catalog
    upstream: str
    pass_guard: PassGuard | None = None
    errors: ErrorEvents | None = None

    def open(self, context: RequestContext, asked: Asked, route: Route) -> "Account":
        """Journal an admitted request and count it as active."""
        caller = context.known_caller()
        started_at, day = now()
        report = asked.reduction
        own_marks = context.endpoint == MESSAGES_ENDPOINT and not asked.unmarked
        opened = RequestOpened(
            event_id=new_event_id(),
            day=day,
            started_at=started_at,
            project=caller.project.id,
            key_id=caller.key_id,
            request_id=context.request_id,
            endpoint=context.endpoint,
            client=client_family(context),
            session_id=_bounded(client_conversation_key(context, asked.conversation)),
            agent_id=_bounded(context.headers.get("x-claude-code-agent-id")),
            asked_model=asked.model[:_ID_CHARS],
            model=route.model.id,
            upstream=self.upstream,
            stream=asked.stream,
            **note_fields(asked.routing),
            reduction=prompt_reduction_of(report, own_marks=own_marks),
            reduced=report is not None and was_reduced(report),
            held_out=report is not None and report.held_out,
        )
        self.journal.open(opened)
        self.metrics.add(series.ACTIVE_REQUESTS, (route.model.id,), 1)
        return Account(self, opened, context, report)

    def refusals(self, context: RequestContext) -> "_Refusals":
        """Count what is turned away before it is admitted; errors pass on. Use `with`."""
        return _Refusals(self, context)

    def nothing_used(self, meter: UsageMeter, failure: GatewayError | None, cut: bool) -> None:
        """Settle a request that costs nothing."""

    def attempt_failed(self, failed: FailedAttempt) -> None:
        """Count a failed attempt at the upstream."""
        error = failed.error
        status = str(error.upstream_status or error.status)
        self.metrics.add(series.UPSTREAM_ERRORS, (failed.model, error.code or "unknown", status))
        if self.errors is not None:
            self.errors.note(attempt_event(failed))


class _Refusals(Struct, frozen=True):
    """Counts the GatewayError that ends its block. No generator: every request enters two."""

    accounting: Accounting
    context: RequestContext

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, GatewayError):
            context, errors = self.context, self.accounting.errors
            project = context.caller.project.id if context.caller is not None else "none"
            labels = ("none", project, str(error.status), context.endpoint)
            self.accounting.metrics.add(series.REQUESTS, labels)
            if errors is not None and not isinstance(error, UpstreamError):
                errors.note(refusal_event(context, error))


class Account(Struct):
    """The account of one request, from `open` to exactly one close.

    `report` tells what was done to its prompt, None when no pass has seen it.
    `begun` is the upstream's answer, None before there is one.
    `on_begin` is told the tokens of the prompt when the upstream begins to answer; `on_close` is
    called at the close. `reservation` is settled by what was used.
    """

    accounting: Accounting
    opened: RequestOpened
    context: RequestContext
    report: ReductionReport | None = None
    on_begin: Callable[[int], None] | None = None
    on_close: Callable[[], None] | None = None
    reservation: Reservation | None = None
    begun: Begun | None = None
    _is_free: bool = False
    _first_token_ms: float | None = None
    _began_at: float | None = None
    _closed: bool = False

    def costs_nothing(self) -> None:
        """The answer is a kept one: nothing is billed, and nobody is judged by it."""
        self._is_free = True
        self.on_begin = None
        self.opened = replace(self.opened, task_class="", repeats=False)

    def began(self, meter: UsageMeter) -> None:
        """The upstream's first event is here: journal what the prompt costs.

        Where the whole answer is, and leaves in one piece, its end says that at once.
        """
        self._began_at = time.monotonic()
        self._first_token_ms = (self._began_at - self.context.received_at) * 1000
        if not meter.started or self._is_free:
            return
        on_begin, self.on_begin = self.on_begin, None  # it holds the whole conversation
        if on_begin is not None:
            on_begin(meter.prompt_tokens)
        if self.opened.stream or not self._is_here(meter):
            self.accounting.journal.start(
                self.opened.event_id,
                meter,
                model=self._served_model(meter),
                upstream=self._served_upstream,
                first_token_ms=self._first_token_ms,
            )

    def _is_here(self, meter: UsageMeter) -> bool:
        """True when the whole answer has come, so that nothing of it is waited for any more."""
        return meter.completed and self.begun is not None and self.begun.response.is_complete

    def failed(self, error: GatewayError) -> None:
        """Close a request that has no reply; an answer that had begun is dropped."""
        self._close(NOTHING_USED, self.opened.model, _failure(error))
        self._drop()

    def left(self) -> None:
        """Close a request whose client left before there was a reply."""
        self._close(NOTHING_USED, self.opened.model, Outcome("aborted", _CLIENT_CLOSED))
        self._drop()

    def _drop(self) -> None:
        if self.begun is not None:
            self.begun.response.abort()
            if self.begun.passage is not None:
                self.begun.passage.dropped()

    def settle(self, meter: UsageMeter, failure: GatewayError | None, cut: bool) -> None:
        """Close a request whose answer began. Synchronous: it runs while the client leaves."""
        usage = NOTHING_USED if self._is_free else used(meter)
        is_cut = not meter.completed and not self._is_free
        estimated = is_cut and meter.estimated_output_tokens > usage.output_tokens
        if estimated:
            usage = replace(usage, output_tokens=meter.estimated_output_tokens)
        if failure is not None:
            outcome = _failure(failure)
        elif cut:
            outcome = Outcome("aborted", _CLIENT_CLOSED, error_code="client_left")
        else:
            outcome = Outcome("ok", 200, stop_reason=meter.stop_reason)
        outcome.estimated = estimated
        self._close(usage, self._served_model(meter), outcome)
        if self.begun is not None:
            self._report(self.begun, failure, cut)

    @property
    def _served_upstream(self) -> str:
        """Who answers, or was to answer."""
        return (self.begun.upstream if self.begun is not None else "") or self.opened.upstream

    def _served_model(self, meter: UsageMeter) -> str:
        """The model the upstream names, when the table knows it, else the one that was asked."""
        served = self.accounting.catalog.find(meter.upstream_model or "")
        return served.id if served is not None else self.opened.model

    def _close(self, usage: TokenUsage, model: str, outcome: Outcome) -> None:
        if self._closed:
            return
        self._closed = True
        accounting = self.accounting
        seconds = time.monotonic() - self.context.received_at
        known = accounting.catalog.find(model)
        cost = _FREE if self._is_free else cost_usd(known, usage)
        savings = None if self._is_free else savings_of(known, usage, self.opened.reduction)
        outcome.model, outcome.upstream = model, self._served_upstream
        outcome.cost_usd = cost
        outcome.price_date = None if cost is None else accounting.catalog.collected_on
        outcome.latency_ms, outcome.first_token_ms = seconds * 1000, self._first_token_ms
        accounting.journal.close(close_event(self.opened, outcome, usage, ledger_of(savings)))
        if self.reservation is not None:
            self.reservation.settle(_all_tokens(usage), micro_dollars(float(cost or 0)))
        self._count(usage, model, outcome, seconds)
        if known is not None and usage is not NOTHING_USED:
            count_cache_tokens(accounting.metrics, usage)
        if savings is not None:
            count_savings(accounting.metrics, self.opened, savings)
            if accounting.pass_guard is not None and self.report is not None:
                judge_passes(accounting.pass_guard, self.opened, self.report, savings)
        if self.on_close is not None:
            self.on_close()

    def _count(self, usage: TokenUsage, model: str, outcome: Outcome, seconds: float) -> None:
        metrics, opened = self.accounting.metrics, self.opened
        streamed = None
        if opened.stream and self._began_at is not None:
            streamed = time.monotonic() - self._began_at
        metrics.add(series.ACTIVE_REQUESTS, (opened.model,), -1)
        metrics.request_finished(
            (model, opened.project, str(outcome.http_status), opened.endpoint),
            seconds,
            (
                usage.input_tokens,
                usage.output_tokens,
                usage.cache_read_tokens,
                usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
            ),
            None if outcome.cost_usd is None else float(outcome.cost_usd),
            streamed,
        )
        if outcome.cost_usd is None:
            metrics.add(series.UNKNOWN_PRICE, (model,))
        if usage.cache_read_tokens:
            metrics.add(series.CACHE_HITS, ("prompt",))

    def _report(self, begun: Begun, failure: GatewayError | None, cut: bool) -> None:
        """Tell the breaker how an answer that had begun went on."""
        passage = begun.passage
        if failure is None and not cut:
            if passage is not None:
                passage.succeeded()
            return
        if failure is not None:
            error = failure if isinstance(failure, UpstreamError) else None
            self.accounting.attempt_failed(
                FailedAttempt(
                    self._served_upstream,
                    self.opened.model,
                    begun.attempts,
                    error or UpstreamError(failure.message),
                    self.context,
                    is_final=True,
                )
            )
            if passage is not None and error is not None:
                tell_breaker(passage, error)
        if passage is not None:
            passage.dropped()  # unless it has reported


def _all_tokens(usage: TokenUsage) -> int:
    written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    return usage.input_tokens + usage.cache_read_tokens + written + usage.output_tokens


def _bounded(text: str | None) -> str | None:
    return text[:_ID_CHARS] if text else None


def _failure(error: GatewayError) -> Outcome:
    return Outcome("error", error.status, error_code=error.code)
