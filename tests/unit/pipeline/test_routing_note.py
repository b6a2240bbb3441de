"""What a decision says in headers and usage rows."""

import time
from datetime import UTC, datetime

from gateway import wire
from gateway.context import RequestContext
from gateway.pipeline.routing_note import announce_decision, routing_note
from gateway.usage.events import (
    Outcome,
    RequestOpened,
    TokenUsage,
    close_event,
    close_record,
    note_fields,
    opened_of,
)
from tests.unit.routing.router_parts import DEFAULT, asking, called, chat, router


def test_the_reasons_are_in_a_header_that_any_client_can_read() -> None:
    context = RequestContext("r", "chat", {}, time.monotonic())
    announce_decision(context, router().decide(chat("Fix a.py: it fails"), asking()))
    said = context.response_headers["X-Route-Reason"]
    assert said.startswith("score; debugging 0.")
    assert said.isascii()


def test_the_note_travels_from_the_decision_to_the_row() -> None:
    first = router().decide(chat("Fix it"), asking())
    draft = chat("Fix it", *called(1, "error: no"))
    decision = router().decide(draft, asking(sticky=first.sticky))
    note = routing_note(decision, b"\x01\x02")
    started_at = datetime(2026, 11, 22, tzinfo=UTC)
    opened = RequestOpened(
        event_id="e",
        day=started_at.date(),
        started_at=started_at,
        project="default",
        key_id="k",
        request_id="r",
        endpoint="chat_completions",
        model=DEFAULT.id,
        **note_fields(note),
    )
    assert opened_of(wire.loads(wire.dumps_struct(opened))) == opened
    event = close_event(opened, Outcome("ok", 200, stop_reason="tool_use"), TokenUsage())
    row = close_record(event)
    assert (row["conversation"], row["failed_results"], row["repeats"]) == ("0102", 1, False)
    assert (row["route_reason"], row["task_class"]) == ("sticky", first.task_class)
    assert row["stop_reason"] == "tool_use"
    assert row["route_detail"] is None
    assert routing_note(first, b"").route_detail == first.detail


def test_records_of_older_versions_are_read_without_a_note() -> None:
    record = {
        "record": "open",
        "event_id": "e",
        "day": "2026-11-22",
        "started_at": "2026-11-22T00:00:00+00:00",
        "project": "default",
        "key_id": "k",
        "request_id": "r",
        "endpoint": "chat_completions",
    }
    opened = opened_of(record)
    assert (opened.route_reason, opened.failed_results, opened.repeats) == ("", 0, False)
    assert note_fields(None) == {}
