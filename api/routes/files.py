"""Files in OpenAI's form: /v1/files."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from api.batch_calls import idempotency_key
from api.deps import require_caller, services_of
from gateway.context import Caller
from gateway.files.files import Files
from gateway.files.multipart import Upload
from gateway.storage.file_store import FilePage
from gateway.wire import JSONObject

router = APIRouter(tags=["files"])


def _files(request: Request) -> Files:
    return services_of(request).files


CallerOf = Annotated[Caller, Depends(require_caller)]
FilesOf = Annotated[Files, Depends(_files)]


@router.post("/v1/files", summary="Upload a file")
async def upload_file(request: Request, caller: CallerOf, files: FilesOf) -> JSONObject:
    """The stored file; its content goes to the database as it comes."""
    upload = Upload(request.headers.get("content-type", ""), request.stream())
    return await files.upload(caller.project.id, upload, idempotency_key(request))


@router.get("/v1/files", summary="Files")
async def list_files(
    caller: CallerOf,
    files: FilesOf,
    after: str | None = None,
    purpose: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
) -> JSONObject:
    """A page of the project's files."""
    page = FilePage(limit, after, purpose, ascending=order == "asc")
    return await files.page(caller.project.id, page)


@router.get("/v1/files/{file_id}", summary="A file")
async def get_file(file_id: str, caller: CallerOf, files: FilesOf) -> JSONObject:
    """The file without its content. Raises NotFoundError."""
    return await files.get(caller.project.id, file_id)


@router.get(
    "/v1/files/{file_id}/content",
    summary="The content of a file",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
async def read_file(file_id: str, caller: CallerOf, files: FilesOf) -> StreamingResponse:
    """The content, streamed. Raises NotFoundError."""
    content = await files.content(caller.project.id, file_id)
    return StreamingResponse(content, media_type="application/octet-stream")


@router.delete("/v1/files/{file_id}", summary="Delete a file")
async def delete_file(file_id: str, caller: CallerOf, files: FilesOf) -> JSONObject:
    """`{"id", "object": "file", "deleted": true}`. Raises NotFoundError."""
    return await files.delete(caller.project.id, file_id)
