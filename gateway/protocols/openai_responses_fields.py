"""The fields of a Responses request beside items and tools, each with its policy.

Fields with a counterpart are translated, those that would lose their meaning are a 400, the rest
is dropped and named. Unknown fields never fail a request. Source: `ResponseCreateParams` of the
openai package 3.54.
"""

from gateway.protocols.shared.draft import Draft, JSONMode
from gateway.protocols.shared.reading import (
    invalid,
    optional_bool,
    optional_count,
    optional_list,
    optional_number,
    optional_object,
    optional_string,
    unsupported,
)
from gateway.protocols.shared.request_fields import (
    ignored_fields,
    read_effort,
    read_named_schema,
    read_thinking,
)
from gateway.wire import JSON, JSONObject

_ENCRYPTED = "reasoning.encrypted_content"
# Read somewhere in the translation; anything else that is set gets named as ignored.
_READ = frozenset(
    {
        "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls",
        "max_output_tokens", "temperature", "top_p", "top_k", "stream", "stream_options", "text",
        "reasoning", "thinking", "include", "store", "previous_response_id", "metadata", "user",
        "safety_identifier", "service_tier", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "background",
    }
)  # fmt: skip
# Values of dropped fields that ask for what happens anyway.
_NEUTRAL: dict[str, tuple[JSON, ...]] = {
    "client_metadata": ({},),
    "top_logprobs": (0,),
    "truncation": ("disabled",),
}
_SUMMARIES = ("auto", "concise", "detailed")
_METADATA_PAIRS = 16  # OpenAI's limit
_METADATA_CHARS = 512


def refuse_lost_meaning(body: JSONObject) -> None:
    """Raises UnsupportedValueError for what cannot be done and the client would miss."""
    # Who answers in the background looks at it before; the answer itself is the same.
    _ = optional_bool(body.get("background"), "background")
    for name in ("prompt", "conversation"):
        if body.get(name) is not None:
            raise unsupported(name, "is not supported: send the items themselves as input")


def response_ignored_fields(body: JSONObject) -> list[str]:
    """Names of the fields that are set and have no counterpart."""
    names = ignored_fields(body, _READ, _NEUTRAL)
    text = body.get("text")
    if isinstance(text, dict) and text.get("verbosity") not in (None, "medium"):
        names.append("text.verbosity")
    return names


def read_limits(body: JSONObject, draft: Draft) -> None:
    """Limits and sampling: max_output_tokens, temperature, top_p, top_k."""
    draft.max_tokens = optional_count(body.get("max_output_tokens"), "max_output_tokens")
    draft.temperature = optional_number(body.get("temperature"), "temperature")
    draft.top_p = optional_number(body.get("top_p"), "top_p")
    draft.top_k = optional_number(body.get("top_k"), "top_k")


def read_reasoning(body: JSONObject, draft: Draft) -> bool:
    """`reasoning`, and Anthropic's `thinking` as an extra; True when a summary shall be shown."""
    asked = optional_object(body.get("reasoning"), "reasoning")
    draft.effort = read_effort(asked.get("effort"), "reasoning.effort")
    draft.thinking = read_thinking(body.get("thinking"), draft.ignored)
    for name in ("summary", "generate_summary"):  # the second is the older name
        summary = optional_string(asked.get(name), f"reasoning.{name}")
        if summary in _SUMMARIES:
            return True
        if summary not in (None, "none"):
            raise invalid(f"reasoning.{name}", "must be auto, concise or detailed")
    return False


def read_text_format(body: JSONObject, draft: Draft) -> JSONMode:
    """`text.format`; a json_schema without a schema counts as json_object."""
    text = optional_object(body.get("text"), "text")
    asked = optional_object(text.get("format"), "text.format")
    kind = asked.get("type")
    if not asked or kind == "text":
        return "none"
    if kind == "json_object":
        return "object"
    if kind != "json_schema":
        raise unsupported("text.format.type", "must be text, json_object or json_schema")
    return read_named_schema(asked, "text.format", draft)


def wants_encrypted(body: JSONObject, ignored: list[str]) -> bool:
    """True when reasoning shall come with its `encrypted_content`; other wishes are named."""
    wanted = False
    for index, name in enumerate(optional_list(body.get("include"), "include")):
        text = optional_string(name, f"include[{index}]")
        if text == _ENCRYPTED:
            wanted = True
        elif text is not None:
            ignored.append(f"include.{text}")
    return wanted


def echoed(body: JSONObject) -> JSONObject:
    """The fields of the request that a Response repeats, with OpenAI's defaults."""
    reasoning = optional_object(body.get("reasoning"), "reasoning")
    text = optional_object(body.get("text"), "text")
    return {
        "instructions": optional_string(body.get("instructions"), "instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "metadata": _metadata(body),
        "model": body["model"],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": body.get("safety_identifier"),
        "store": body.get("store") is not False,
        "temperature": _given(body, "temperature", 1.0),
        "text": {"format": {"type": "text"}, **_set(text)},
        "tool_choice": _given(body, "tool_choice", "auto"),
        "tools": _given(body, "tools", []),
        "top_p": _given(body, "top_p", 1.0),
        "truncation": _truncation(body),
        "user": body.get("user"),
    }


def _given(body: JSONObject, name: str, otherwise: JSON) -> JSON:
    value = body.get(name)
    return otherwise if value is None else value


def _set(fields: JSONObject) -> JSONObject:
    return {name: value for name, value in fields.items() if value is not None}


def _truncation(body: JSONObject) -> str:
    value = optional_string(body.get("truncation"), "truncation") or "disabled"
    if value not in ("auto", "disabled"):
        raise invalid("truncation", "must be auto or disabled")
    return value


def _metadata(body: JSONObject) -> JSONObject:
    """Labels of the client, kept with the Response."""
    metadata = optional_object(body.get("metadata"), "metadata")
    if len(metadata) > _METADATA_PAIRS:
        raise invalid("metadata", f"has more than {_METADATA_PAIRS} entries")
    for value in metadata.values():
        if not isinstance(value, str) or len(value) > _METADATA_CHARS:
            raise invalid("metadata", f"must have texts of at most {_METADATA_CHARS} characters")
    return metadata
