"""The files of a batch of OpenAI's form: answers in one, errors in the other, a line an item.

Lines as in https://platform.openai.com/docs/api-reference/batch/request-output.
"""

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from gateway import wire
from gateway.storage.batch_items_store import BatchItemStore, FinishedItem
from gateway.storage.batch_store import BatchRow
from gateway.storage.batch_tables import SUCCEEDED
from gateway.storage.file_store import FileFacts, FileStore, NewFile

_PAGE_ITEMS = 200

Kind = Literal["output", "error"]


@dataclass(frozen=True, slots=True)
class OutputFiles:
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
            wanted = [item for item in page if (item.state == SUCCEEDED) == (kind == "output")]
            if wanted:
                yield b"".join(output_line(batch_id, item) for item in wanted)


def output_line(batch_id: str, item: FinishedItem) -> bytes:
    """One line of a file; the answer in it is the bytes a live client would have got."""
    line_id = f"batch_req_{batch_id.removeprefix('batch_')}{item.number:08x}"
    head = wire.dumps({"id": line_id, "custom_id": item.custom_id})[:-1]
    error = item.error if isinstance(item.error, dict) else {}
    if item.status_code is None:  # never executed
        said = {"code": error.get("code"), "message": error.get("message")}
        return head + b',"response":null,"error":' + wire.dumps(said) + b"}\n"
    body = item.result
    if body is None:
        names = ("message", "type", "param", "code")
        body = wire.dumps({"error": {name: error.get(name) for name in names}})
    answer = wire.dumps({"status_code": item.status_code, "request_id": item.request_id})[:-1]
    return head + b',"response":' + answer + b',"body":' + body + b'},"error":null}\n'


def _key(batch: BatchRow, kind: Kind) -> str:
    """The same however often the file of one end is written; a retry has another end."""
    return f"batch-{kind} {batch.id} {batch.finalizing_at or batch.cancelling_at}"
