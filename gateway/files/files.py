"""Files as OpenAI clients see them: uploaded, listed, read, deleted."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from gateway.errors import InvalidRequestError
from gateway.files.multipart import Upload
from gateway.storage.file_store import FileFacts, FilePage, FileRow, FileStore, NewFile
from gateway.structs import Struct
from gateway.wire import JSONObject

_DEFAULT_SECONDS = 2_592_000  # OpenAI keeps files of batches for 30 days
_SECONDS = range(3_600, 2_592_001)
_PURPOSES = frozenset({"batch", "assistants", "fine-tune", "vision", "user_data", "evals"})


class Files(Struct, frozen=True):
    """Serves `/v1/files`, by project. Its store is the files' only place."""

    store: FileStore

    async def upload(self, project_id: str, upload: Upload, key: str | None) -> JSONObject:
        """The stored file. Raises InvalidRequestError, RequestTooLargeError and ConflictError."""
        new = NewFile(new_file_id(), project_id, key)
        return shown(await self.store.store(new, upload.pieces(), lambda: _facts(upload)))

    async def page(self, project_id: str, page: FilePage) -> JSONObject:
        """A page of the project's files."""
        found = await self.store.page(
            project_id, FilePage(page.limit + 1, page.after, page.purpose, page.ascending)
        )
        data = [shown(row) for row in found[: page.limit]]
        return {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": len(found) > page.limit,
        }

    async def get(self, project_id: str, file_id: str) -> JSONObject:
        """A file without its content. Raises NotFoundError."""
        return shown(await self.store.get(project_id, file_id))

    async def content(self, project_id: str, file_id: str) -> AsyncIterator[bytes]:
        """The content of a file, in chunks. Raises NotFoundError before the first one."""
        row = await self.store.get(project_id, file_id)
        return self.store.content(row.id)

    async def delete(self, project_id: str, file_id: str) -> JSONObject:
        """Takes a file away; a batch that reads it goes on. Raises NotFoundError."""
        await self.store.delete(project_id, file_id)
        return {"id": file_id, "object": "file", "deleted": True}


def new_file_id() -> str:
    """A new id of a file."""
    return "file-" + os.urandom(12).hex()


def shown(row: FileRow) -> JSONObject:
    """A file in OpenAI's shape (openai 3.54, types/file_object.py)."""
    return {
        "id": row.id,
        "object": "file",
        "bytes": row.bytes,
        "created_at": int(row.created_at.timestamp()),
        "expires_at": None if row.expires_at is None else int(row.expires_at.timestamp()),
        "filename": row.filename,
        "purpose": row.purpose,
        "status": row.status,
        "status_details": None,
    }


def _facts(upload: Upload) -> FileFacts:
    purpose = upload.fields.get("purpose")
    if not purpose:
        raise InvalidRequestError("purpose is required", param="purpose")
    if purpose not in _PURPOSES:
        raise InvalidRequestError("purpose is none that files are taken for", param="purpose")
    expires_at = _expiry(upload.fields, purpose)
    return FileFacts(purpose, upload.filename or "file", expires_at, upload.digest)


def _expiry(fields: dict[str, str], purpose: str) -> datetime | None:
    anchor, given = fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    if anchor is None and given is None:
        seconds = _DEFAULT_SECONDS if purpose == "batch" else None
    elif anchor != "created_at":
        raise InvalidRequestError("must be created_at", param="expires_after.anchor")
    elif given is None or not given.isdecimal() or int(given) not in _SECONDS:
        raise InvalidRequestError("must be 3600 to 2592000", param="expires_after.seconds")
    else:
        seconds = int(given)
    return None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
