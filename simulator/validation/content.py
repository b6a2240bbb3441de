"""The shape of content blocks, by type and role.

Field names follow the `*BlockParam` types of the anthropic package 2.12.
"""

from simulator.shape import (
    Check,
    Fields,
    Tagged,
    anything,
    array,
    boolean,
    integer,
    mapping,
    nullable,
    one_of,
    string,
)
from simulator.wire import JsonValue

IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")

cache_control = nullable(Fields({"type": one_of("ephemeral")}, {"ttl": one_of("5m", "1h")}))
_citations_switch = nullable(Fields({}, {"enabled": boolean}))

_ID = r"^[a-zA-Z0-9_-]+$"
_SERVER_ID = r"^srvtoolu_[a-zA-Z0-9_]+$"


def _block(required: dict[str, Check], optional: dict[str, Check], cacheable: bool = True) -> Check:
    extra: dict[str, Check] = {"cache_control": cache_control} if cacheable else {}
    return Fields({"type": anything, **required}, {**optional, **extra})


def text_or(blocks: Check) -> Check:
    """A string, or a list that passes a check."""

    def run(value: JsonValue, path: str) -> None:
        if not isinstance(value, str):
            blocks(value, path)

    return run


_text = _block({"text": string()}, {"citations": nullable(array(mapping))})

_image_source = Tagged(
    {
        "base64": Fields(
            {"type": anything, "media_type": one_of(*IMAGE_TYPES), "data": string(1)},
        ),
        "url": Fields({"type": anything, "url": string(1)}),
        "file": Fields({"type": anything, "file_id": string(1)}),
    }
)
_image = _block({"source": _image_source}, {"transformations": nullable(mapping)})

_document_source = Tagged(
    {
        "base64": Fields(
            {"type": anything, "media_type": one_of("application/pdf"), "data": string(1)},
        ),
        "text": Fields({"type": anything, "media_type": one_of("text/plain"), "data": string(1)}),
        "content": Fields(
            {
                "type": anything,
                "content": text_or(array(Tagged({"text": _text, "image": _image}))),
            }
        ),
        "url": Fields({"type": anything, "url": string(1)}),
        "file": Fields({"type": anything, "file_id": string(1)}),
    }
)
_document = _block(
    {"source": _document_source},
    {
        "citations": _citations_switch,
        "context": nullable(string()),
        "title": nullable(string(0, 500)),
    },
)
_search_result = _block(
    {"content": array(Tagged({"text": _text})), "source": string(), "title": string()},
    {"citations": _citations_switch},
)
_thinking = _block({"signature": string(), "thinking": string()}, {}, cacheable=False)
_redacted = _block({"data": string(1)}, {}, cacheable=False)
_tool_use = _block(
    {"id": string(1, pattern=_ID), "input": mapping, "name": string(1, 200)},
    {"caller": nullable(mapping), "toolset_name": nullable(string())},
)
_tool_result_content = Tagged(
    {
        "text": _text,
        "image": _image,
        "search_result": _search_result,
        "document": _document,
        "tool_reference": _block({"tool_name": string(1)}, {}),
    }
)
_tool_result = _block(
    {"tool_use_id": string(1, pattern=_ID)},
    {
        "content": nullable(text_or(array(_tool_result_content))),
        "is_error": nullable(boolean),
        "toolset_name": nullable(string()),
    },
)
_server_tool_use = _block(
    {"id": string(1, pattern=_SERVER_ID), "input": mapping, "name": string(1)},
    {"caller": nullable(mapping)},
)
_server_result = _block(
    {"tool_use_id": string(1, pattern=_SERVER_ID), "content": anything},
    {"caller": nullable(mapping)},
)

SERVER_RESULTS = (
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
)
_BLOCKS: dict[str, Check] = {
    "document": _document,
    "image": _image,
    "redacted_thinking": _redacted,
    "search_result": _search_result,
    "server_tool_use": _server_tool_use,
    "text": _text,
    "thinking": _thinking,
    "tool_result": _tool_result,
    "tool_use": _tool_use,
    **dict.fromkeys(SERVER_RESULTS, _server_result),
    "container_upload": _block({"file_id": string(1)}, {}),
    "compaction": _block(
        {"content": nullable(string(1))},
        {
            "encrypted_content": nullable(string()),
            "signature": nullable(string()),
            "tool_changes": nullable(array(mapping)),
        },
    ),
}
_block_check = Tagged(_BLOCKS)
_system_block_check = Tagged({"text": _text})

content: Check = text_or(array(_block_check))
system: Check = text_or(array(_system_block_check))

message: Check = Fields(
    {"role": one_of("user", "assistant", "system"), "content": content},
    {
        "clear_at": nullable(anything),
        "output_config": nullable(mapping),
    },
)
metadata = Fields({}, {"user_id": nullable(string(0, 256))})
max_tokens = integer(0)
