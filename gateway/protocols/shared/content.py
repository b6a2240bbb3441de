"""Content of client messages - strings and parts - as Messages blocks."""

from gateway import wire
from gateway.protocols.shared.cache_marks import CacheMarks
from gateway.protocols.shared.media import (
    base64_image,
    file_block,
    image_block,
    text_document,
    typed_file,
)
from gateway.protocols.shared.reading import invalid, missing, unsupported, wrong_type
from gateway.wire import JSON, JSONObject

# Tuples: a client's `type` may be anything, and not all of it can be looked up in a set.
TEXT_PARTS = ("text", "input_text", "output_text")
IMAGE_PARTS = ("image_url", "input_image")
_AUDIO_PARTS = ("input_audio", "audio", "audio_url")
_KNOWN_RESULT_PARTS = (*TEXT_PARTS, *IMAGE_PARTS, "image", "file", "input_file", "document")
# Blocks of Anthropic's form that say nothing without their signature or their server.
_DROPPED_BLOCKS = frozenset(
    {
        "thinking",
        "redacted_thinking",
        "reasoning",
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "container_upload",
    }
)
_IMAGE_OMITTED = "[image omitted]"
_FILE_OMITTED = "[file omitted]"
_OMITTED = {
    "image_url": _IMAGE_OMITTED,
    "input_image": _IMAGE_OMITTED,
    "image": _IMAGE_OMITTED,
    "file": _FILE_OMITTED,
    "input_file": _FILE_OMITTED,
    "document": _FILE_OMITTED,
}


class ContentReader:
    """Reads the contents of one request; created per request, for what it notes on the way.

    `ignored` gets the names of fields that were dropped.
    """

    def __init__(self, marks: CacheMarks, ignored: list[str]) -> None:
        self.marks = marks
        self._ignored = ignored

    def blocks(self, content: JSON, param: str, *, text_only: bool = False) -> list[JSONObject]:
        """The blocks of a message: text, images, documents; for `text_only` the rest is a 400."""
        if isinstance(content, str):
            blank = not content or content.isspace()
            return [] if blank else [{"type": "text", "text": content}]
        if content is None:
            return []
        if isinstance(content, dict):
            content = [content]
        elif not isinstance(content, list):
            raise wrong_type(param, "a string or an array of parts", content)
        blocks: list[JSONObject] = []
        for index, part in enumerate(content):
            blocks += self.part(part, f"{param}[{index}]", text_only=text_only)
        return blocks

    def part(self, part: JSON, param: str, *, text_only: bool = False) -> list[JSONObject]:
        """The block of one part, as a list of one; empty when the part is."""
        if isinstance(part, str):
            part = {"type": "text", "text": part}
        if not isinstance(part, dict):
            raise wrong_type(param, "an object", part)
        kind = part.get("type")
        if kind in TEXT_PARTS or (kind is None and "text" in part):
            block = _text(part.get("text"), f"{param}.text")
        elif text_only:
            raise invalid(f"{param}.type", "must be text here", "unsupported_content")
        else:
            block = self._media(kind, part, param)
        blocks = [] if block is None else [block]
        self.marks.put(part, blocks)
        return blocks

    def assistant_part(self, part: JSON, param: str) -> list[JSONObject]:
        """The text of one part of an assistant message; of media only that there was some."""
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "refusal":
            return self.blocks(part.get("refusal"), f"{param}.refusal", text_only=True)
        if isinstance(kind, str) and kind in _OMITTED:  # the API takes none from an assistant
            return [{"type": "text", "text": _OMITTED[kind]}]
        if isinstance(kind, str) and kind in _DROPPED_BLOCKS:
            return []
        return self.part(part, param, text_only=True)

    def _media(self, kind: JSON, part: JSONObject, param: str) -> JSONObject | None:
        if kind in IMAGE_PARTS:
            return self._image(part, param)
        if kind == "file":
            return _file(part, param)
        if kind == "input_file":
            return file_block(part, param)
        if kind in ("image", "document"):
            return _native(part, param)
        if kind in _AUDIO_PARTS:
            raise unsupported(param, "is audio, which Claude does not take", "unsupported_content")
        if kind is None:
            raise missing(f"{param}.type")
        if not isinstance(kind, str):
            raise wrong_type(f"{param}.type", "a string", kind)
        raise unsupported(param, "is of a type that is not known here", "unsupported_content")

    def _image(self, part: JSONObject, param: str) -> JSONObject:
        image = part.get("image_url")
        if isinstance(image, dict):
            if image.get("detail") not in (None, "auto"):
                self._ignored.append("image_url.detail")
            return image_block(image.get("url"), f"{param}.image_url.url")
        if image is None and part.get("file_id") is not None:
            raise unsupported(f"{param}.file_id", "cannot be resolved: send the image itself")
        if part.get("detail") not in (None, "auto"):
            self._ignored.append("input_image.detail")
        return image_block(image, f"{param}.image_url")

    def tool_result(self, content: JSON, param: str) -> tuple[list[JSONObject], JSONObject | None]:
        """Blocks for the inside of a tool_result: text and media; other JSON as its text.

        A cache mark may not sit inside: it comes second, for the result itself.
        """
        if not _is_result_content(content):
            content = wire.dumps_text(content)
        blocks = self.blocks(content, param)
        mark: JSONObject | None = None
        for block in blocks:
            mark = block.pop("cache_control", mark)
        return blocks, mark


def _is_result_content(content: JSON) -> bool:
    """True for what OpenAI lets a tool message hold; other JSON is written as text."""
    if isinstance(content, list):
        return all(_is_result_part(part) for part in content)
    return content is None or isinstance(content, str) or _is_result_part(content)


def _is_result_part(part: JSON) -> bool:
    """True for a part of a known type; results also hold JSON that happens to be a list."""
    return isinstance(part, dict) and part.get("type") in _KNOWN_RESULT_PARTS


def _text(text: JSON, param: str) -> JSONObject | None:
    if isinstance(text, str):
        return None if not text or text.isspace() else {"type": "text", "text": text}
    if text is None:
        return None
    raise wrong_type(param, "a string", text)


def _file(part: JSONObject, param: str) -> JSONObject | None:
    file = part.get("file")
    if not isinstance(file, dict):
        raise (
            missing(f"{param}.file")
            if file is None
            else wrong_type(f"{param}.file", "an object", file)
        )
    return file_block(file, f"{param}.file")


def _native(part: JSONObject, param: str) -> JSONObject | None:
    """An image or document block in Anthropic's own form, which some clients mix in."""
    source = part.get("source")
    path = f"{param}.source"
    if not isinstance(source, dict):
        raise missing(path) if source is None else wrong_type(path, "an object", source)
    title = part.get("title") if isinstance(part.get("title"), str) else None
    data = source.get("data")
    match source.get("type"):
        case "url" if part["type"] == "image":
            return image_block(source.get("url"), f"{path}.url")
        case "base64" if isinstance(data, str):
            media_type = source.get("media_type")
            if not isinstance(media_type, str):
                raise wrong_type(f"{path}.media_type", "a string", media_type)
            if part["type"] == "image":
                return base64_image(media_type.lower(), data, f"{path}.data")
            return typed_file(media_type.lower(), data, title, f"{path}.data")
        case "text" if isinstance(data, str) and part["type"] == "document":
            return text_document(data, title) if data.strip() else None
    raise unsupported(path, "is of a kind that is not known here", "unsupported_content")
