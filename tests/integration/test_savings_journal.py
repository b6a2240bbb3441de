"""The ledger on its way through the journal: whole, old and orphaned lines."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway import wire
from gateway.catalog.models import load_catalog
from gateway.storage.usage_store import UsageStore
from gateway.usage.events import (
    Outcome,
    RequestOpened,
    TokenUsage,
    close_event,
    new_event_id,
    now,
)
from gateway.usage.journal import Journal
from gateway.usage.prompt_reduction import PromptReduction
from gateway.usage.recorder import Recorder
from gateway.usage.savings import ledger_of, savings_of
from gateway.usage.segments import files_in

SONNET = "claude-sonnet-5-5"
CATALOG = load_catalog()
REDUCTION = PromptReduction(40_000, (("references", 4000, 1000),), 3, "5m")
USAGE = TokenUsage(500, 0, 8000, 1500)


def request(**values: object) -> RequestOpened:
    started_at, day = now()
    fixed = {
        "event_id": new_event_id(),
        "day": day,
        "started_at": started_at,
        "project": "default",
        "key_id": "bootstrap",
        "request_id": "req_1",
        "endpoint": "/v1/chat/completions",
        "model": SONNET,
        "reduction": REDUCTION,
        "reduced": True,
    }
    return RequestOpened(**{**fixed, **values})  # type: ignore[arg-type] # a test's shorthand


async def rows(engine: AsyncEngine) -> dict[str, dict[str, object]]:
    async with engine.connect() as connection:
        found = await connection.execute(text("select * from usage_events"))
        return {each["event_id"]: dict(each) for each in found.mappings()}


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = Journal(tmp_path, "api")
    yield journal
    journal.shut()


@pytest.fixture
def recorder(journal: Journal, engine: AsyncEngine) -> Recorder:
    return Recorder(journal, UsageStore(engine), CATALOG)


async def test_the_ledger_of_a_request_is_in_its_row(
    journal: Journal, recorder: Recorder, engine: AsyncEngine
) -> None:
    opened = request()
    ledger = ledger_of(savings_of(CATALOG.find(SONNET), USAGE, REDUCTION))
    journal.open(opened)
    journal.close(close_event(opened, Outcome("ok", 200), USAGE, ledger))
    await recorder.ship()
    row = (await rows(engine))[opened.event_id]
    assert row["baseline_input_usd"] == Decimal("0.022")
    assert row["billed_input_usd"] == Decimal("0.00555")
    assert (row["reduced"], row["held_out"]) == (True, False)
    assert row["reduction"] == {"techniques": ledger.techniques}
    assert set(ledger.techniques or ()) == {"cache", "references"}


async def test_an_orphan_keeps_what_is_known_of_its_prompt(
    tmp_path: Path, recorder: Recorder, engine: AsyncEngine
) -> None:
    dead = Journal(tmp_path, "dead")
    admitted, started, marked, held_out = (
        request(),
        request(),
        request(endpoint="/v1/messages", reduction=PromptReduction(own_marks=True), reduced=False),
        request(reduction=PromptReduction(), reduced=False, held_out=True),
    )
    for opened in (admitted, started, marked, held_out):
        dead.open(opened)
    for opened in (started, marked, held_out):
        dead.start(opened.event_id, USAGE, model=SONNET, upstream="anthropic")
    dead.shut()
    await recorder.ship()
    stored = await rows(engine)
    assert {row["status"] for row in stored.values()} == {"aborted"}
    assert stored[admitted.event_id]["baseline_input_usd"] is None
    assert stored[admitted.event_id]["reduced"] is True
    assert stored[started.event_id]["baseline_input_usd"] == Decimal("0.022")
    assert set(stored[started.event_id]["reduction"]["techniques"]) == {"cache", "references"}  # type: ignore[index]
    assert stored[marked.event_id]["baseline_input_usd"] == Decimal("0.00555")
    assert stored[held_out.event_id]["held_out"] is True


async def test_lines_of_an_older_version_claim_nothing(
    tmp_path: Path, recorder: Recorder, engine: AsyncEngine
) -> None:
    """What an older process left behind: no field of the ledger in any record."""
    closed, orphan = request(), request()
    dead = Journal(tmp_path, "dead")
    for opened in (closed, orphan):
        dead.open(opened)
        dead.start(opened.event_id, USAGE, model=SONNET, upstream="anthropic")
    dead.close(close_event(closed, Outcome("ok", 200), USAGE))
    dead.shut()
    (file,) = files_in(tmp_path)
    new = {"reduction", "baseline_input_usd", "billed_input_usd", "reduced", "held_out"}
    lines = [wire.loads(line) for line in file.read_bytes().splitlines()]
    file.write_bytes(
        b"".join(
            wire.dumps({name: value for name, value in line.items() if name not in new}) + b"\n"
            for line in lines
        )
    )
    await recorder.ship()
    stored = await rows(engine)
    assert {row["status"] for row in stored.values()} == {"ok", "aborted"}
    for row in stored.values():
        assert row["input_tokens"] == 500
        assert row["baseline_input_usd"] is row["billed_input_usd"] is row["reduction"] is None
        assert row["reduced"] is row["held_out"] is False


async def test_an_open_line_with_an_odd_reduction_holds_nothing_up(
    tmp_path: Path, recorder: Recorder, engine: AsyncEngine
) -> None:
    dead = Journal(tmp_path, "dead")
    odd, good = request(), request()
    dead.open(odd)
    dead.open(good)
    dead.shut()
    (file,) = files_in(tmp_path)
    first, second = file.read_bytes().splitlines()
    broken = {**wire.loads(first), "reduction": {"sent_chars": "many"}}
    file.write_bytes(wire.dumps(broken) + b"\n" + second + b"\n")
    await recorder.ship()
    assert set(await rows(engine)) == {good.event_id}
    assert files_in(tmp_path) == []
