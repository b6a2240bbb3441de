"""Requests that no client waits for: when they are tried again, and what their tries have used."""

from decimal import Decimal

import pytest

from gateway.errors import (
    GatewayError,
    InvalidRequestError,
    UnavailableError,
    UpstreamCutError,
    UpstreamError,
    UpstreamUnreachableError,
)
from gateway.pipeline.unattended import CollectedUsage, Wait, refused_event, wait_after
from gateway.structs import replace
from gateway.usage.events import UsageEvent


def upstream(status: int, *, retryable: bool, seconds: float | None = None) -> UpstreamError:
    error = UpstreamError("said no", retryable=retryable, retry_after_seconds=seconds)
    error.upstream_status = status
    return error


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (InvalidRequestError("no"), None),
        (upstream(400, retryable=False), None),
        (upstream(529, retryable=True, seconds=3.0), Wait("busy", 3.0)),
        (upstream(500, retryable=True), Wait("failure", None)),
        (upstream(401, retryable=False), Wait("busy", 60.0)),
        (UpstreamCutError("cut"), Wait("failure", None)),
        (UpstreamUnreachableError("away", retryable=True), Wait("failure", None)),
        (UnavailableError("down"), Wait("busy", None)),
    ],
)
def test_who_is_tried_again(error: GatewayError, wait: Wait | None) -> None:
    assert wait_after(error) == wait


def event(tokens: int, cost: str | None) -> UsageEvent:
    refused = refused_event("r", "/v1/messages", "p", "k", InvalidRequestError("no"))
    return replace(
        refused,
        input_tokens=tokens,
        output_tokens=1,
        cost_usd=None if cost is None else Decimal(cost),
    )


def test_earlier_tries_count_with_the_last_one() -> None:
    usage = CollectedUsage()
    for tokens, cost in ((5, "0.1"), (7, "0.2")):
        usage.close(event(tokens, cost))
        taken = usage.take("r")
        assert taken is not None
        usage.try_again(taken)
    usage.close(event(1, "0.4"))
    last = usage.take("r")
    assert last is not None
    assert (last.input_tokens, last.output_tokens, last.cost_usd) == (13, 3, Decimal("0.7"))
    assert usage.take("r") is None


def test_a_try_that_never_began_keeps_what_was_used_before() -> None:
    usage = CollectedUsage()
    usage.try_again(event(5, None))
    kept = usage.take("r")
    assert kept is not None
    assert (kept.input_tokens, kept.cost_usd) == (5, None)


def test_what_is_never_taken_is_forgotten_in_the_end() -> None:
    usage = CollectedUsage()
    for number in range(10_005):
        usage.try_again(replace(event(1, None), request_id=str(number)))
    assert usage.take("0") is None
    assert usage.take("10004") is not None
