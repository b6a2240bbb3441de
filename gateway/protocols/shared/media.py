"""Images and files of client messages as Messages blocks.

The gateway never fetches an address: URLs are handed on for Claude's API to fetch.
"""

import base64
import binascii
import re

from gateway.protocols.shared.reading import invalid, missing, unsupported, wrong_type
from gateway.wire import JSON, JSONObject

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF = "application/pdf"
_TEXT_TYPES = re.compile(
    r"text/.+|application/(?:json|xml|x?-?yaml|toml|javascript|typescript|sql|x-sh|x-python|.+\+(?:"
    r"json|xml))"
).fullmatch
_DATA_URL = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_HEADER_LIMIT = 256  # characters of a data URL looked at for its media type
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_SAFE = str.maketrans("-_", "+/")
_SNIFFED_CHARS = 32  # base64 digits, 24 bytes: the longest magic number below needs 12
_MAX_TITLE_CHARS = 500
_PDF_MAGIC = "JVBERi"  # "%PDF-" in base64


def image_block(url: JSON, param: str) -> JSONObject:
    """The block for an image given as a data URL or an address; a PDF becomes a document."""
    if not isinstance(url, str):
        raise missing(param) if url is None else wrong_type(param, "a string", url)
    if url[:5].lower() == "data:":
        media_type, data = _data_url(url, param)
        if media_type == _PDF:
            return _pdf_block(data, None, param)
        return base64_image(media_type, data, param)
    if url[:8].lower() == "https://" or url[:7].lower() == "http://":
        return {"type": "image", "source": {"type": "url", "url": url}}
    raise invalid(param, "must be a data: URL or an http(s) address", "invalid_image_url")


def base64_image(media_type: str, data: str, param: str) -> JSONObject:
    """An image block of base64 data; its type is what the bytes say where that is known."""
    declared = "image/jpeg" if media_type == "image/jpg" else media_type
    clean = _base64(data, param)
    real = _sniffed(clean)
    if real is None and declared not in IMAGE_TYPES:
        raise unsupported(
            param,
            "must be a JPEG, PNG, GIF or WebP image",
            "unsupported_image_media_type",
        )
    source = {"type": "base64", "media_type": real or declared, "data": clean}
    return {"type": "image", "source": source}


def file_block(file: JSONObject, param: str) -> JSONObject | None:
    """The block for a `file` part: PDF or text as a document, images as images; None when empty."""
    data = file.get("file_data")
    if data is None and file.get("file_url") is not None:
        return _document_at(file["file_url"], _title(file), f"{param}.file_url")
    if data is None:
        if file.get("file_id") is not None:
            raise unsupported(
                f"{param}.file_id", "cannot be resolved: send the file itself as file_data"
            )
        raise missing(f"{param}.file_data")
    if not isinstance(data, str):
        raise wrong_type(f"{param}.file_data", "a string", data)
    title = _title(file)
    param = f"{param}.file_data"
    if data[:5].lower() == "data:":
        media_type, data = _data_url(data, param)
    else:
        media_type = _PDF if data.startswith(_PDF_MAGIC) else "application/octet-stream"
    return typed_file(media_type, data, title, param)


def _title(file: JSONObject) -> str | None:
    name = file.get("filename")
    return name[:_MAX_TITLE_CHARS] if isinstance(name, str) and name.strip() else None


def _document_at(url: JSON, title: str | None, param: str) -> JSONObject:
    """A document that Claude's API fetches itself: it takes PDF files so."""
    if not isinstance(url, str):
        raise wrong_type(param, "a string", url)
    if not url.lower().startswith(("https://", "http://")):
        raise invalid(param, "must be an http(s) address")
    return _document({"type": "url", "url": url}, title)


def typed_file(media_type: str, payload: str, title: str | None, param: str) -> JSONObject | None:
    """The block for base64 data of that media type; None for a text without content."""
    if media_type == _PDF:
        return _pdf_block(payload, title, param)
    if media_type.startswith("image/"):
        return base64_image(media_type, payload, param)
    if not _TEXT_TYPES(media_type):
        raise unsupported(param, "must be a PDF, a text file or an image")
    text = _decoded_text(payload, param)
    if not text.strip():
        return None
    source = {"type": "text", "media_type": "text/plain", "data": text}
    return _document(source, title)


def text_document(text: str, title: str | None) -> JSONObject:
    """A document block of plain text."""
    return _document({"type": "text", "media_type": "text/plain", "data": text}, title)


def _document(source: JSONObject, title: str | None) -> JSONObject:
    block: JSONObject = {"type": "document", "source": source}
    if title is not None:
        block["title"] = title
    return block


def _pdf_block(data: str, title: str | None, param: str) -> JSONObject:
    clean = _base64(data, param)
    if not clean.startswith(_PDF_MAGIC):
        raise invalid(param, "is not a PDF file")
    return _document({"type": "base64", "media_type": _PDF, "data": clean}, title)


def _data_url(url: str, param: str) -> tuple[str, str]:
    """Media type and payload of a base64 data URL."""
    head = _DATA_URL.match(url, 0, _HEADER_LIMIT)
    if head is None or ";base64" not in head.group(2).lower():
        raise invalid(param, "must be a data: URL with a media type and base64 data")
    return head.group(1).strip().lower(), url[head.end() :]


def _base64(data: str, param: str) -> str:
    """`data` in the standard alphabet with its padding, or InvalidRequestError.

    Deleting the alphabet's bytes is the fastest check there is: megabytes in a millisecond.
    """
    if not data.isascii():
        raise _not_base64(param)
    rest = data.encode().translate(None, _ALPHABET)
    if rest not in (b"", b"=", b"=="):
        data = "".join(data.split()).translate(_URL_SAFE)
        rest = data.encode().translate(None, _ALPHABET)
    if rest not in (b"", b"=", b"==") or not data.endswith(rest.decode()):
        raise _not_base64(param)
    bare = len(data) - len(rest)
    if bare == 0 or bare % 4 == 1:
        raise _not_base64(param)
    padding = -bare % 4
    return data if len(rest) == padding else data[:bare] + "=" * padding


def _not_base64(param: str) -> Exception:
    return invalid(param, "does not hold valid base64 data", "invalid_base64")


def _decoded_text(data: str, param: str) -> str:
    try:
        return base64.b64decode(_base64(data, param)).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise invalid(param, "does not hold UTF-8 text in base64") from None


def _sniffed(data: str) -> str | None:
    """The media type the first bytes show, None when they are of no known kind."""
    digits = data[:_SNIFFED_CHARS].rstrip("=")
    head = base64.b64decode(digits[: len(digits) // 4 * 4])
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return None
