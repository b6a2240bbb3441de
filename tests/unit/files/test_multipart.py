"""Uploads are read the same however their bytes are cut."""

import hashlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequestError, RequestTooLargeError
from gateway.files import multipart
from gateway.files.multipart import Upload

KIND = "multipart/form-data; boundary=edge"
CONTENT = b'{"a": 1}\r\n--edg\r\n{"b": "\xc3\xa9"}\n'
BODY = (
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="in.jsonl"\r\n'
    b"Content-Type: application/jsonl\r\n\r\n" + CONTENT + b"\r\n"
    b'--edge\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--edge--\r\n'
)


async def in_pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def read(body: bytes, size: int = 1000) -> tuple[Upload, bytes]:
    upload = Upload(KIND, in_pieces(body, size))
    return upload, b"".join([piece async for piece in upload.pieces()])


@given(st.integers(1, len(BODY)))
async def test_any_cut_gives_the_same_file(size: int) -> None:
    upload, content = await read(BODY, size)
    assert content == CONTENT
    assert upload.fields == {"purpose": "batch"}
    assert (upload.filename, upload.size) == ("in.jsonl", len(CONTENT))
    assert upload.digest == hashlib.sha256(CONTENT).digest()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all",
        b"--edge--\r\n",
        b'--edge\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--edge--\r\n',
        BODY[: BODY.index(b"Content-Type")] + b"\r\n\r\nx\r\n" + BODY,
    ],
)
async def test_what_is_no_upload_of_one_file_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        await read(body)


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data"])
def test_another_kind_of_body_is_refused(kind: str) -> None:
    with pytest.raises(InvalidRequestError, match="multipart/form-data"):
        Upload(kind, in_pieces(BODY, 1))


async def test_a_file_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "MAX_FILE_BYTES", len(CONTENT) - 1)
    with pytest.raises(RequestTooLargeError):
        await read(BODY)


async def test_a_field_is_no_place_for_a_file() -> None:
    long = BODY.replace(b"\r\nbatch\r\n", b"\r\n" + b"b" * 20_000 + b"\r\n")
    with pytest.raises(InvalidRequestError, match="too long"):
        await read(long)
