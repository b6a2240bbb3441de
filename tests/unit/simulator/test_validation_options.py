"""Refusals about tools, thinking, output, cache markers and media, in the words of the API."""

from typing import Any

import pytest

from tests.unit.simulator.parts import (
    CALL,
    CLOSED,
    HOUR,
    MARK,
    MESSAGES,
    RESULT,
    TOOL,
    assistant,
    image,
    png,
    schema_format,
    text,
    user,
)

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("bad tool name", {"tools": [{**TOOL, "name": "a.b"}]}, "tools.0.custom.name: String should"),
    ("same names", {"tools": [TOOL, TOOL]}, "tools: Tool names must be unique."),
    ("no schema", {"tools": [{"name": "a"}]}, "tools.0.custom.input_schema: Field required"),
    (
        "schema type missing",
        {"tools": [{"name": "a", "input_schema": {}}]},
        "tools.0.custom.input_schema.type: Field required",
    ),
    (
        "oneOf on top",
        {"tools": [{"name": "a", "input_schema": {"type": "object", "oneOf": []}}]},
        "input_schema does not support oneOf, allOf, or anyOf at the top level",
    ),
    (
        "invalid schema",
        {"tools": [{"name": "a", "input_schema": {"type": "object", "required": "x"}}]},
        "JSON schema is invalid. It must match JSON Schema draft 2020-12",
    ),
    (
        "choice without tools",
        {"tool_choice": {"type": "auto"}},
        "only be specified while providing",
    ),
    (
        "unknown tool chosen",
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "zz"}},
        "Tool 'zz' not found in provided tools",
    ),
    (
        "forced on a model that refuses",
        {"model": "claude-opus-5-5", "tools": [TOOL], "tool_choice": {"type": "any"}},
        'tool_choice: type "tool" and "any" are not supported for this model.',
    ),
    (
        "forced with thinking",
        {
            "tools": [TOOL],
            "tool_choice": {"type": "any"},
            "max_tokens": 4000,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
        },
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    ("temperature range", {"temperature": 1.5}, "temperature: range: 0..1"),
    (
        "both sampling",
        {"temperature": 0.5, "top_p": 0.5},
        "`temperature` and `top_p` cannot both be specified for this model",
    ),
    (
        "temperature on a new model",
        {"model": "claude-opus-4-7", "temperature": 0},
        "`temperature` is deprecated for this model.",
    ),
    (
        "temperature with thinking",
        {"thinking": {"type": "adaptive"}, "temperature": 0},
        "`temperature` may only be set to 1 when thinking is enabled",
    ),
    (
        "budget too small",
        {"thinking": {"type": "enabled", "budget_tokens": 10}},
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    (
        "budget over max_tokens",
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        "`max_tokens` must be greater than `thinking.budget_tokens`",
    ),
    (
        "enabled on a new model",
        {"model": "claude-opus-5", "thinking": {"type": "enabled", "budget_tokens": 1024}},
        '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive"',
    ),
    (
        "disabled on an always-thinking model",
        {"model": "claude-opus-5-5", "thinking": {"type": "disabled"}},
        '"thinking.type.disabled" is not supported for this model.',
    ),
    (
        "adaptive on an old model",
        {"model": "claude-haiku-4-5", "thinking": {"type": "adaptive"}},
        "adaptive thinking is not supported on this model",
    ),
    (
        "display with disabled",
        {"thinking": {"type": "disabled", "display": "omitted"}},
        "thinking.disabled.display: Extra inputs are not permitted",
    ),
    (
        "binding without beta",
        {"thinking": {"type": "adaptive", "block_binding": {}}},
        "thinking.adaptive.block_binding: Extra inputs are not permitted",
    ),
    (
        "tool loop without thinking",
        {
            "max_tokens": 4000,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "messages": [MESSAGES, assistant(CALL), user(RESULT)],
        },
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
        "`tool_use`",
    ),
    (
        "effort on 4.5",
        {"model": "claude-haiku-4-5", "output_config": {"effort": "low"}},
        "This model does not support the effort parameter.",
    ),
    (
        "xhigh on 4.6",
        {"output_config": {"effort": "xhigh"}},
        "output_config.effort: 'xhigh' is not",
    ),
    ("effort name", {"output_config": {"effort": "huge"}}, "output_config.effort: Input should be"),
    (
        "xhigh without thinking",
        {
            "model": "claude-opus-5",
            "thinking": {"type": "disabled"},
            "output_config": {"effort": "xhigh"},
        },
        "output_config.effort 'xhigh' is not supported when thinking is disabled on this model.",
    ),
    (
        "open object",
        schema_format({"type": "object", "properties": {}}),
        "'additionalProperties' must be explicitly set to false",
    ),
    (
        "minimum in a format",
        schema_format({**CLOSED, "properties": {"a": {"type": "integer", "minimum": 1}}}),
        "For 'integer' type, property 'minimum' is not supported",
    ),
    (
        "recursion",
        schema_format(
            {
                **CLOSED,
                "properties": {"a": {"$ref": "#/$defs/n"}},
                "$defs": {"n": {**CLOSED, "properties": {"n": {"$ref": "#/$defs/n"}}}},
            }
        ),
        "Circular reference detected",
    ),
    (
        "untyped sub-schema",
        schema_format({**CLOSED, "properties": {"a": {}}}),
        "Schema type is required",
    ),
    (
        "five markers",
        {"messages": [user(*[text("x", cache_control=MARK) for _ in range(5)])]},
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    (
        "four markers and the automatic one",
        {
            "messages": [user(*[text("x", cache_control=MARK) for _ in range(4)], text("y"))],
            "cache_control": MARK,
        },
        "Found 5.",
    ),
    (
        "automatic with another ttl",
        {"messages": [user(text("x", cache_control=HOUR))], "cache_control": MARK},
        "must have the same ttl",
    ),
    (
        "1h after 5m",
        {
            "system": [text("x", cache_control=MARK)],
            "messages": [user(text("y", cache_control=HOUR))],
        },
        "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block",
    ),
    (
        "marker on thinking",
        {
            "messages": [
                MESSAGES,
                assistant(
                    {"type": "thinking", "thinking": "", "signature": "s", "cache_control": MARK}
                ),
            ]
        },
        "messages.1.content.0.thinking.cache_control: Extra inputs are not permitted",
    ),
    (
        "ttl value",
        {"cache_control": {"type": "ephemeral", "ttl": "2h"}},
        "cache_control.ttl: Input",
    ),
    (
        "image type",
        {"messages": [user(image("AAAA", "image/bmp"))]},
        "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg'",
    ),
    ("image base64", {"messages": [user(image("@@@"))]}, "Invalid base64 data"),
    ("no image", {"messages": [user(image("AAAA"))]}, "Could not process image"),
    (
        "wrong image type",
        {"messages": [user(image(png(), "image/jpeg"))]},
        "using the image/jpeg media type, but the image appears to be a image/png image",
    ),
    (
        "huge image",
        {"messages": [user(image(png(9000, 1)))]},
        "exceed max allowed size: 8000 pixels",
    ),
    (
        "large among many images",
        {"messages": [user(*[image(png(2001, 1)) for _ in range(21)])]},
        "max allowed size for many-image requests: 2000 pixels",
    ),
    (
        "no PDF",
        {
            "messages": [
                user(
                    {
                        "type": "document",
                        "source": {
                            "type": "base64",
                            "media_type": "application/pdf",
                            "data": "AAAA",
                        },
                    }
                )
            ]
        },
        "The PDF specified was not valid.",
    ),
    ("prewarm with stream", {"max_tokens": 0, "stream": True}, "is not supported with `stream`"),
    ("fast mode", {"speed": "fast"}, "speed: fast mode is not supported on this model"),
]


@pytest.mark.parametrize(
    ("fields", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_broken_rule_is_refused_in_the_words_of_the_api(
    world: Any, fields: Any, words: str
) -> None:
    error = world.refusal(world.body(**fields))
    assert words in error.message
    assert (error.status, error.kind) == (400, "invalid_request_error")
