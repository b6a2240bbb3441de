"""Error events of requests: failed attempts, what failed after the answer began, refusals."""

from gateway.context import RequestContext
from gateway.error_events.events import ErrorEvent
from gateway.errors import GatewayError
from gateway.pipeline.attempts import FailedAttempt


def attempt_event(failed: FailedAttempt) -> ErrorEvent:
    """The event of a failed attempt at an upstream."""
    error, context = failed.error, failed.context
    caller = context.caller if context is not None else None
    return ErrorEvent(
        source="upstream",
        kind=error.upstream_kind,
        code=error.code or "unknown",
        status=error.upstream_status or 0,
        project=caller.project.id if caller is not None else "",
        key_id=caller.key_id if caller is not None else "",
        request_id=context.request_id if context is not None else "",
        endpoint=context.endpoint if context is not None else "",
        model=failed.model,
        upstream=failed.upstream,
        attempt=failed.attempt,
        is_final=failed.is_final,
        retry_after_seconds=error.retry_after_seconds,
    )


def refusal_event(context: RequestContext, error: GatewayError) -> ErrorEvent:
    """The event of a request that the gateway turned away itself."""
    caller = context.caller
    return ErrorEvent(
        source="gateway",
        kind=error.kind,
        code=error.code or "unknown",
        status=error.status,
        project=caller.project.id if caller is not None else "",
        key_id=caller.key_id if caller is not None else "",
        request_id=context.request_id,
        endpoint=context.endpoint,
        retry_after_seconds=error.retry_after_seconds,
    )
