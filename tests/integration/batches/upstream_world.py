"""What brings parts of batches upstream in tests: real tables, a real client, the simulator."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway import wire
from gateway.batches.part_plan import PartLimits
from gateway.batches.part_results import PartResults
from gateway.batches.upstream_parts import ENDED, UpstreamParts
from gateway.catalog.models import load_catalog
from gateway.pipeline.batch_translation import BatchTranslation
from gateway.pipeline.message_batch_items import MessageBatchItems
from gateway.protocols.model_fit import FitOptions
from gateway.routing.names import ModelNames
from gateway.security.sealing import sealer_from
from gateway.storage.batch_items_store import BatchItemStore, NewItem
from gateway.storage.batch_parts_store import BatchPartStore, PartRow
from gateway.storage.batch_store import BatchRow, BatchStore, NewBatch
from gateway.structs import replace
from gateway.upstream.message_batches import MessageBatchClient, UpstreamBatch
from tests.contract.harness.simulator import Simulator
from tests.integration.batches.worker import MODEL, until

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
CATALOG = load_catalog(None)


def question(said: str, **fields: Any) -> dict[str, Any]:
    """A body that is a chat completion and a Messages request."""
    messages = [{"role": "user", "content": said}]
    return {"model": MODEL, "max_tokens": 1000, "messages": messages, **fields}


@dataclass
class World:
    """Parts of one upstream named `sim`."""

    engine: AsyncEngine
    simulator: Simulator
    client: MessageBatchClient
    parts: UpstreamParts
    results: PartResults

    def with_settled(self, seconds: float) -> UpstreamParts:
        """The same, with another patience for lost calls."""
        return replace(self.parts, settled_seconds=seconds)

    def with_limits(self, items: int) -> UpstreamParts:
        """The same, with smaller parts."""
        return replace(self.parts, limits=PartLimits(items, 10**7))

    def fault(self, **fault: Any) -> None:
        """What the next call upstream suffers."""
        self.simulator.call("POST", "batch_faults", fault)

    async def batch(
        self,
        bodies: Sequence[dict[str, Any]],
        endpoint: str = "/v1/chat/completions",
        mode: str = "anthropic",
    ) -> BatchRow:
        """A batch in progress, planned by nobody yet."""
        new = NewBatch(
            id=f"batch_{uuid.uuid4().hex[:24]}",
            project_id="default",
            key_id="bootstrap",
            form="short",
            endpoint=endpoint,
            mode=mode,
        )
        items = [NewItem(n, f"q-{n}", wire.dumps(body)) for n, body in enumerate(bodies)]
        await BatchStore(self.engine).create_batch(new, items)
        return await BatchStore(self.engine).set_status(new.id, "in_progress")

    async def planned(self, bodies: Sequence[dict[str, Any]], **values: Any) -> BatchRow:
        """A batch of one part."""
        batch = await self.batch(bodies, **values)
        assert await self.parts.plan(batch) == 1
        return batch

    async def upstream(self) -> list[UpstreamBatch]:
        """All batches upstream."""
        return await self.client.recent(LONG_AGO)

    async def row(self, batch: BatchRow, part: int = 0) -> PartRow:
        """The part as the database has it."""
        row = await self.parts.store.get(batch.id, part)
        assert row is not None
        return row

    async def until_ended(self, batch: BatchRow, part: int = 0) -> None:
        """Waits until the answers are made, which the simulator does at once."""

        async def has_ended() -> bool:
            return await self.parts.poll(batch, part) == ENDED

        await until(has_ended, 30)

    async def brought(self, batch: BatchRow, part: int = 0) -> None:
        """The whole way of a part."""
        await self.parts.create(batch, part, 1)
        await self.until_ended(batch, part)
        await self.results.read(batch, part)

    async def items(self, batch: BatchRow) -> list[dict[str, Any]]:
        """The items as clients read them, by number."""
        found = await BatchItemStore(self.engine).results(batch.id, -1, 1000)
        return [
            {
                "number": item.number,
                "state": item.state,
                "error": item.error,
                "body": None if item.result is None else wire.loads(item.result),
            }
            for item in found
        ]

    async def usage_rows(self, batch: BatchRow) -> list[dict[str, Any]]:
        """The usage rows of the batch."""
        statement = text("select * from usage_events where batch_id = :id order by event_id")
        async with self.engine.connect() as connection:
            rows = (await connection.execute(statement, {"id": batch.id})).mappings().all()
        return [dict(row) for row in rows]


def world_of(engine: AsyncEngine, simulator: Simulator, client: MessageBatchClient) -> World:
    """All parts of the way, as the worker builds them."""
    default = CATALOG.find(MODEL)
    assert default is not None
    names = ModelNames(CATALOG, default, "custom-", reject_unknown=False, small=default)
    translation = BatchTranslation(
        names, FitOptions(4096, show_reasoning=True), sealer_from("a key of tests only")
    )
    items = MessageBatchItems(translation, CATALOG)
    store, upstreams = BatchPartStore(engine), {"sim": client}
    limits = PartLimits(10_000, 10**7)

    async def has_budget(batch: BatchRow) -> bool:
        return batch.project_id == "poor"

    return World(
        engine,
        simulator,
        client,
        UpstreamParts(store, items, upstreams, limits, has_budget),
        PartResults(store, BatchItemStore(engine), items, upstreams),
    )
