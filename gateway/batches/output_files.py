"""The files of a batch of OpenAI's form: answers in one, errors in the other, a line an item.

Lines as in https://platform.openai.com/docs/api-reference/batch/request-output.
"""

import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

from gateway.batches.openai_form import belongs_to_output, line
from gateway.storage.batch_items_store import BatchItemStore
from gateway.storage.batch_store import BatchRow
from gateway.storage.file_store import FileFacts, FileStore, NewFile
from gateway.structs import Struct

_PAGE_ITEMS = 200

Kind = Literal["output", "error"]


class OutputFiles(Struct, frozen=True):
    """Writes the files; `beat` is called after each page, for whoever waits."""

    items: BatchItemStore
    files: FileStore
    beat: Callable[[], None]

    async def write(self, batch: BatchRow, kind: Kind) -> str | None:
        """The id of the file, None when it would be empty. May run twice."""
        has_output = batch.succeeded > 0
        if not (has_output if kind == "output" else batch.finished > batch.succeeded):
            return None
        new = NewFile(f"file-{os.urandom(12).hex()}", batch.project_id, _key(batch, kind))

        def facts() -> FileFacts:
            expires_at = None
            if batch.output_expires_seconds is not None:
                expires_at = datetime.now(UTC) + timedelta(seconds=batch.output_expires_seconds)
            return FileFacts("batch_output", f"{batch.id}_{kind}.jsonl", expires_at)

        return (await self.files.store(new, self._lines(batch.id, kind), facts)).id

    async def _lines(self, batch_id: str, kind: Kind) -> AsyncIterator[bytes]:
        after = -1
        while page := await self.items.results(batch_id, after, _PAGE_ITEMS):
            after = page[-1].number
            self.beat()
            wanted = [item for item in page if belongs_to_output(item) == (kind == "output")]
            if wanted:
                yield b"".join([line(batch_id, item) + b"\n" for item in wanted])


def _key(batch: BatchRow, kind: Kind) -> str:
    """The same however often the file of one end is written; a retry has another end."""
    return f"batch-{kind} {batch.id} {batch.finalizing_at or batch.cancelling_at}"
