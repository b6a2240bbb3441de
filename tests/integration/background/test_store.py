"""Responses in the background in PostgreSQL: attempts are fenced, ends are written once."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.errors import NotFoundError, UnavailableError
from gateway.pipeline.background_ends import CANCELLED, ended_without_answer, usage_row
from gateway.pipeline.background_runs import EventLog, OvertakenError
from gateway.pipeline.background_vault import BackgroundVault
from gateway.pipeline.unattended import refused_event
from gateway.security.sealing import Sealer
from gateway.storage.background_store import (
    BackgroundRow,
    BackgroundStore,
    Ended,
    EventRow,
    NewBackground,
)
from gateway.structs import replace

SHOWN = b'{"object":"response","status":"queued","error":null,"output":[]}'


@pytest.fixture
def store(engine: AsyncEngine) -> BackgroundStore:
    return BackgroundStore(engine)


@pytest.fixture
def vault() -> BackgroundVault:
    return BackgroundVault(Sealer([b"a key that is used in tests only"]))


def new(vault: BackgroundVault, **fields: Any) -> NewBackground:
    response_id = "resp_bg" + secrets.token_hex(8)
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "id": response_id,
        "project_id": "default",
        "key_id": "bootstrap",
        "endpoint": "/v1/responses",
        "request": vault.seal("default", response_id, "request", b"{}"),
        "shown": vault.seal("default", response_id, "shown", SHOWN),
        "idempotency_key": None,
        "body_digest": b"1",
        "created_at": now,
        "expires_at": now + timedelta(hours=24),
        "kept_until_at": now + timedelta(days=30),
        **fields,
    }
    return NewBackground(**values)


async def begun(store: BackgroundStore, vault: BackgroundVault) -> BackgroundRow:
    row, _ = await store.create(new(vault))
    first = await store.begin(row.id)
    assert first is not None
    return first


async def test_one_key_makes_one_row(store: BackgroundStore, vault: BackgroundVault) -> None:
    key = secrets.token_hex(6)
    first, is_new = await store.create(new(vault, idempotency_key=key))
    again, is_new_again = await store.create(new(vault, idempotency_key=key))
    assert (is_new, is_new_again, first.id) == (True, False, again.id)
    other, is_new = await store.create(new(vault, idempotency_key=key, project_id="another"))
    assert is_new
    with pytest.raises(NotFoundError):
        await store.get(other.id, "default")


async def test_an_attempt_that_was_followed_writes_nothing(
    store: BackgroundStore, vault: BackgroundVault
) -> None:
    first = await begun(store, vault)
    assert await store.append(first.id, 1, EventRow(0, 4, "a"))
    second = await store.begin(first.id)
    assert second is not None
    assert (second.attempt, second.first_event, second.next_event) == (2, 5, 5)
    assert not await store.append(first.id, 1, EventRow(5, 6, "late"))
    assert not await store.note_failure(first.id, 1, {"message": "late"}, None)
    assert not await store.end(first.id, 1, Ended("completed", "x", EventRow(5, 5, "late")))
    assert await store.append(first.id, 2, EventRow(5, 6, "b"))
    assert await store.end(first.id, 2, Ended("completed", "x", EventRow(7, 7, "c")))
    row, events = await store.read(first.id, 4, 10)
    assert (row.status, row.next_event) == ("completed", 8)
    assert [(each.first, each.last, each.data) for each in events] == [(5, 6, "b"), (7, 7, "c")]
    assert await store.begin(first.id) is None


async def test_only_the_first_end_counts(
    store: BackgroundStore, vault: BackgroundVault, engine: AsyncEngine
) -> None:
    row = await begun(store, vault)
    event = refused_event(row.id, row.endpoint, "default", "bootstrap", CANCELLED)
    usage = usage_row(row.id, event, None)
    shown = vault.seal("default", row.id, "shown", SHOWN)
    assert await store.end(row.id, 1, Ended("completed", shown, EventRow(0, 0, "e"), usage))
    assert not await store.end(row.id, 1, Ended("failed", shown, EventRow(1, 1, "f"), usage))
    ended = await ended_without_answer(store, vault, row, CANCELLED)
    assert ended.status == "completed"
    assert usage is not None
    await store.add_usage(usage)
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("select count(*) from usage_events where event_id = :id"), {"id": row.id}
        )
        assert rows.scalar_one() == 1


async def test_a_cancel_and_events_at_once_lose_nothing(
    store: BackgroundStore, vault: BackgroundVault
) -> None:
    stale = await begun(store, vault)
    sealed = vault.seal_events("default", stale.id, 0, 3, b"id: 0\n1\n\nid: 1\n2\n\nid: 2\n3\n\n")
    assert await store.append(stale.id, 1, sealed)
    ended = await ended_without_answer(store, vault, stale, CANCELLED)
    assert (ended.status, ended.next_event) == ("cancelled", 4)
    _, events = await store.read(stale.id, 2, 10)
    assert [(each.first, each.last) for each in events] == [(3, 3)]
    assert b"response.failed" in vault.open_events("default", stale.id, events[0], 2)


class Flaky(BackgroundStore):
    """A store whose connection breaks at the next write, before it or after it."""

    breaks: str | None = None

    async def append(self, response_id: str, attempt: int, events: EventRow) -> bool:
        breaks, self.breaks = self.breaks, None
        if breaks == "before":
            raise UnavailableError("away")
        written = await super().append(response_id, attempt, events)
        if breaks == "after":
            raise UnavailableError("away")
        return written


@pytest.mark.parametrize("breaks", ["before", "after"])
async def test_a_write_whose_end_nobody_heard_of_is_made_once(
    engine: AsyncEngine, vault: BackgroundVault, breaks: str
) -> None:
    store = Flaky(engine)
    row = await begun(store, vault)
    log = EventLog(store, vault, row)
    log.add(b"data: 0\n\ndata: 1\n\n")
    store.breaks = breaks
    await log.write()
    assert log.waiting
    log.add(b"data: 2\n\n")
    await log.settle()
    await log.write()
    assert not log.waiting
    _, events = await store.read(row.id, -1, 10)
    data = b"".join(vault.open_events("default", row.id, each, -1) for each in events)
    assert data == b"id: 0\ndata: 0\n\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\n"


async def test_a_log_notices_that_it_was_overtaken(
    store: BackgroundStore, vault: BackgroundVault
) -> None:
    row = await begun(store, vault)
    log = EventLog(store, vault, row)
    log.add(b"data: 0\n\n")
    await store.begin(row.id)
    with pytest.raises(OvertakenError):
        await log.write()


async def test_what_is_kept_no_longer_goes_with_its_events(
    store: BackgroundStore, vault: BackgroundVault, engine: AsyncEngine
) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    old, _ = await store.create(new(vault, kept_until_at=past))
    await store.begin(old.id)
    assert await store.append(old.id, 1, EventRow(0, 0, "x"))
    kept, _ = await store.create(new(vault))
    while await store.delete_expired(100):
        pass
    with pytest.raises(NotFoundError):
        await store.get(old.id)
    assert (await store.get(kept.id)).status == "queued"
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("select count(*) from background_events where response_id = :id"), {"id": old.id}
        )
        assert rows.scalar_one() == 0


def test_attempts_are_summed_into_one_row() -> None:
    event = refused_event("resp_bg1", "/v1/responses", "p", "k", CANCELLED)
    first = usage_row("resp_bg1", replace(event, input_tokens=3, output_tokens=1), None)
    both = usage_row("resp_bg1", replace(event, input_tokens=4), first)
    assert both is not None
    assert (both["input_tokens"], both["output_tokens"], both["event_id"]) == (7, 1, "resp_bg1")
    assert usage_row("resp_bg1", None, first) == first
