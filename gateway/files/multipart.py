"""An upload as `multipart/form-data`, read piece by piece: no process holds a whole file."""

import hashlib
from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.errors import InvalidRequestError, RequestTooLargeError

MAX_FILE_BYTES = 200_000_000
"""OpenAI's limit of an input file."""

_MAX_FIELD_BYTES = 16_384
_MAX_FIELDS = 50


class Upload:
    """One upload, whose fields may stand before or behind its file. Read `pieces` to the end once.

    `fields` are the other parts by name, `filename` and `digest` those of the file.
    """

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise InvalidRequestError("an upload must be multipart/form-data", param="file")
        self.fields: dict[str, str] = {}
        self.filename = ""
        self.size = 0
        self._has_file = False
        self._sha = hashlib.sha256()
        self._body = body
        self._headers: dict[bytes, bytes] = {}
        self._name, self._header = b"", b""
        self._in_file = False
        self._value = bytearray()
        self._pieces: list[bytes] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._end,
            },
        )

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file so far."""
        return self._sha.digest()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content of the file. Raises InvalidRequestError and RequestTooLargeError."""
        try:
            async for data in self._body:
                self._parser.write(data)
                for piece in self._pieces:
                    yield piece
                self._pieces.clear()
            self._parser.finalize()
        except FormParserError as error:
            raise InvalidRequestError("the multipart body is broken", param="file") from error
        if not self._has_file:
            raise InvalidRequestError("file is required", param="file")

    def _begin(self) -> None:
        self._headers.clear()
        self._value.clear()
        self._name, self._header = b"", b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        if self._name in self._headers:  # the value of the header before is complete
            self._name = b""
        self._name += data[start:end]
        if len(self._name) > _MAX_FIELD_BYTES:
            raise InvalidRequestError("a header of the multipart body is too long", param="file")

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        key = self._name
        self._headers[key] = self._headers.get(key, b"") + data[start:end]

    def _headers_end(self) -> None:
        headers = {name.lower(): value for name, value in self._headers.items()}
        _, options = parse_options_header(headers.get(b"content-disposition", b""))
        self._header = options.get(b"name", b"")
        self._in_file = self._header == b"file"
        if self._in_file:
            if self._has_file:
                raise InvalidRequestError("an upload has one file", param="file")
            self._has_file = True
            self.filename = options.get(b"filename", b"").decode("utf-8", "replace")[:500]

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self.size += end - start
            if self.size > MAX_FILE_BYTES:
                raise RequestTooLargeError(
                    f"a file may have {MAX_FILE_BYTES:,} bytes", param="file"
                )
            self._sha.update(piece := data[start:end])
            self._pieces.append(piece)
            return
        self._value += data[start:end]
        if len(self._value) > _MAX_FIELD_BYTES:
            raise InvalidRequestError("a field of the multipart body is too long", param="file")

    def _end(self) -> None:
        if not self._in_file:
            if len(self.fields) >= _MAX_FIELDS:
                raise InvalidRequestError("the multipart body has too many fields", param="file")
            name = self._header.decode("utf-8", "replace")
            self.fields[name] = self._value.decode("utf-8", "replace")
