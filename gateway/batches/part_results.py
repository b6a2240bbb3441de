"""The results of a part, read as they come and stored in groups."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing

from gateway.batches.part_plan import number_of
from gateway.batches.upstream_port import PartItems, UpstreamBatches
from gateway.errors import UpstreamError
from gateway.storage.batch_items_store import BatchItemStore
from gateway.storage.batch_parts_store import (
    IN_PROGRESS,
    READ,
    UNSURE,
    BatchPartStore,
    PartRow,
)
from gateway.storage.batch_store import BatchRow
from gateway.structs import Struct
from gateway.wire import JSONObject

_GROUP = 200
_log = logging.getLogger("gateway.batches")


class _NotOursError(Exception):
    """A batch that may have been the part's is not."""


class PartResults(Struct, frozen=True):
    """Reads results. Each item gets one result and one usage row, whatever is repeated.

    What ends without a result of its own (canceled, expired, a failure that may pass) stays open:
    the batch decides whether it is executed or ends with it.
    """

    store: BatchPartStore
    items: BatchItemStore
    translated: PartItems
    upstreams: Mapping[str, UpstreamBatches]

    async def read(self, batch: BatchRow, part: int) -> str:
        """Stores all results of an ended part; it is `read` then.

        Goes on behind the lines that are stored. Raises UpstreamError, retryable, when it must be
        tried again.
        """
        row = await self.store.get(batch.id, part)
        if row is None or row.state not in (IN_PROGRESS, UNSURE):
            return READ
        left = await self.store.open_numbers(batch.id, part)
        skip = row.results_read
        try:
            await self._pass(batch, row, skip, left)
            if left and skip:  # another order than the last time, or what the last time left open
                await self._pass(batch, row, 0, left)
        except _NotOursError:
            _log.warning("batch_part_not_ours", extra={"batch": batch.id, "part": part})
        except UpstreamError as error:
            if error.upstream_status != 404:
                error.retryable = True
                raise
            _log.warning("batch_results_gone", extra={"batch": batch.id, "part": part})
        if left:
            extra = {"batch": batch.id, "part": part, "items": len(left)}
            _log.warning("batch_results_missing", extra=extra)
        await self.store.change(batch.id, part, (IN_PROGRESS, UNSURE), state=READ)
        return READ

    async def _pass(self, batch: BatchRow, row: PartRow, skip: int, left: set[int]) -> None:
        """Reads the lines behind `skip`; takes the numbers it meets out of `left`."""
        upstream = self.upstreams[row.upstream]
        count, group = skip, dict[int, JSONObject]()
        unsure = row.state == UNSURE
        async with aclosing(upstream.results(row.upstream_id or "", skip)) as lines:
            async for line in lines:
                number = number_of(row.tag, line.get("custom_id"))
                if number is None and unsure:
                    raise _NotOursError
                unsure = False
                count += 1
                if number in left:
                    left.discard(number)
                    group[number] = line.get("result") or {}
                if len(group) >= _GROUP:
                    await self._stored(batch, row, group, count)
                    group.clear()
        await self._stored(batch, row, group, count)

    async def _stored(
        self, batch: BatchRow, row: PartRow, group: dict[int, JSONObject], count: int
    ) -> None:
        rows = await self.store.open_items(batch.id, list(group))
        answers = []
        for number, item in rows.items():
            answer = self.translated.ended(batch, item, group[number], row.upstream)
            if answer is not None:
                answers.append(answer)
            await asyncio.sleep(0)  # others of this worker have their turn
        if answers:
            usage = {each.result.number: each.usage for each in answers if each.usage is not None}
            await self.items.store_results(batch.id, [each.result for each in answers], usage)
        await self.store.change(batch.id, row.part, (IN_PROGRESS, UNSURE), results_read=count)
