"""What parts of batches need of others: an upstream that has Message Batches, and translations."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Protocol

from gateway.batches.execution import Answered
from gateway.storage.batch_items_store import ItemRow
from gateway.storage.batch_store import BatchRow
from gateway.wire import JSONObject


class UpstreamBatch(Protocol):
    """A Message Batch: `status` is in_progress, canceling or ended; `requests` counts all."""

    @property
    def id(self) -> str: ...  # noqa: D102 - the field's word
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def requests(self) -> int: ...  # noqa: D102
    @property
    def created_at(self) -> datetime: ...  # noqa: D102


class UpstreamBatches(Protocol):
    """The Message Batches of one upstream. Every method raises UpstreamError."""

    async def create(self, requests: Sequence[bytes]) -> UpstreamBatch:
        """A batch of `{"custom_id", "params"}` in JSON. Not idempotent."""

    async def get(self, batch_id: str) -> UpstreamBatch:
        """The batch as it is now."""

    async def recent(self, since: datetime) -> Sequence[UpstreamBatch]:
        """The batches that were created since then, the newest first."""

    async def cancel(self, batch_id: str) -> UpstreamBatch:
        """Has the batch end early."""

    def results(self, batch_id: str, skip: int = 0) -> AsyncGenerator[JSONObject, None]:
        """The results `{"custom_id", "result"}` behind `skip` lines."""


class PartItems(Protocol):
    """Items on their way into a Message Batch, and their answers on the way back."""

    def params(self, batch: BatchRow, row: ItemRow) -> bytes | None:
        """The item as params in JSON; None for what Message Batches do not take."""

    def ended(
        self, batch: BatchRow, row: ItemRow, result: JSONObject, upstream: str
    ) -> Answered | None:
        """What the item comes to by its `result`; None when it is still to be executed."""
