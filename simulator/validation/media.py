"""Images and PDFs: real media type, size, number."""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence

from simulator.errors import ApiError, invalid
from simulator.images import image_facts
from simulator.models import Model
from simulator.validation.conversation import blocks_of
from simulator.wire import Json

MAX_IMAGE_BASE64_BYTES = 10 * 1024 * 1024
MAX_SIDE_PIXELS = 8000
MAX_SIDE_PIXELS_MANY = 2000  # with more than MANY_IMAGES images in the request
MANY_IMAGES = 20
_SMALL_WINDOW = 200_000
_PAGE = re.compile(rb"/Type\s*/Page[^s]")


def check_media(messages: Sequence[Json], model: Model) -> None:
    """Checks every image and PDF in messages and tool results."""
    small = model.context <= _SMALL_WINDOW
    images = list(_blocks(messages, "image"))
    limit = 100 if small else 600
    if len(images) > limit:
        raise invalid("messages", f"A maximum of {limit} images may be provided.")
    many = len(images) > MANY_IMAGES
    for path, block in images:
        if block["source"]["type"] == "base64":
            _check_image(block["source"], f"{path}.image.source.base64", many)
    for path, block in _blocks(messages, "document"):
        if block["source"]["type"] == "base64":
            _check_pdf(block["source"], f"{path}.document.source.base64", 100 if small else 600)


def _blocks(messages: Sequence[Json], kind: str) -> Iterator[tuple[str, Json]]:
    for index, message in enumerate(messages):
        for position, block in enumerate(blocks_of(message)):
            path = f"messages.{index}.content.{position}"
            if block["type"] == kind:
                yield path, block
            elif block["type"] == "tool_result" and isinstance(block.get("content"), list):
                for inner_position, inner in enumerate(block["content"]):
                    if inner["type"] == kind:
                        yield f"{path}.tool_result.content.{inner_position}", inner


def _decode(data: str, path: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"{path}.data", "Invalid base64 data") from error


def _check_image(source: Json, path: str, many: bool) -> None:
    size = len(source["data"])
    if size > MAX_IMAGE_BASE64_BYTES:
        raise invalid(
            path, f"image exceeds 10 MB maximum: {size} bytes > {MAX_IMAGE_BASE64_BYTES} bytes"
        )
    facts = image_facts(_decode(source["data"], path))
    if facts is None:
        raise ApiError(400, "Could not process image")
    if facts.media_type != source["media_type"]:
        raise invalid(
            path,
            f"The image was specified using the {source['media_type']} media type, but the image "
            f"appears to be a {facts.media_type} image",
        )
    longest = max(facts.width, facts.height)
    side = MAX_SIDE_PIXELS_MANY if many else MAX_SIDE_PIXELS
    if longest > side:
        suffix = " for many-image requests" if many else ""
        raise ApiError(
            400,
            f"{path}.data: At least one of the image dimensions exceed max allowed size{suffix}: "
            f"{side} pixels",
            details={"error_code": "image_dimensions_too_large", "paths": [f"{path}.data"]},
        )


def _check_pdf(source: Json, path: str, page_limit: int) -> None:
    data = _decode(source["data"], path)
    if not data.startswith(b"%PDF-"):
        raise invalid(f"{path}.data", "The PDF specified was not valid.")
    if b"/Encrypt" in data:
        raise invalid(f"{path}.data", "The PDF specified is password protected.")
    if len(_PAGE.findall(data)) > page_limit:
        raise ApiError(400, f"A maximum of {page_limit} PDF pages may be provided.")
