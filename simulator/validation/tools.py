"""Tools and tool_choice: names, schemas, and which models take a forced choice."""

import re
from collections.abc import Sequence

from jsonschema import Draft202012Validator

from simulator.errors import ApiError, invalid
from simulator.models import Model
from simulator.shape import (
    Check,
    Fields,
    Tagged,
    anything,
    array,
    boolean,
    mapping,
    nullable,
    one_of,
    string,
)
from simulator.validation.content import cache_control
from simulator.validation.schemas import SchemaChecks
from simulator.wire import Json, JsonValue

_STRICT_TOOLS = 20
_SERVER_TOOL = re.compile(
    r"^(?:bash|text_editor|web_search|web_fetch|code_execution|memory|computer|"
    r"computer_toolset|browser_toolset|tool_search_tool_bm25|tool_search_tool_regex|advisor|"
    r"mcp_toolset)_\d{8}$"
)

_custom_tool = Fields(
    {"name": string(1, pattern=r"^[a-zA-Z0-9_-]{1,128}$"), "input_schema": mapping},
    {
        "type": nullable(one_of("custom")),
        "description": string(),
        "cache_control": cache_control,
        "strict": nullable(boolean),
        "eager_input_streaming": nullable(boolean),
        "defer_loading": nullable(boolean),
        "input_examples": array(mapping),
        "allowed_callers": array(string()),
    },
)
_switch: dict[str, Check] = {"disable_parallel_tool_use": boolean}
_tool_choice = Tagged(
    {
        "auto": Fields({"type": anything}, _switch),
        "any": Fields({"type": anything}, _switch),
        "tool": Fields({"type": anything, "name": string(1)}, _switch),
        "none": Fields({"type": anything}),
    }
)


def is_custom(tool: Json) -> bool:
    """Whether the client itself runs the tool from a schema it gave."""
    return tool.get("type") in (None, "custom")


def check_tool_shapes(value: JsonValue, path: str) -> None:
    """The shape of `tools`."""
    array(_tool)(value, path)


def _tool(value: JsonValue, path: str) -> None:
    mapping(value, path)
    if is_custom(value):
        _custom_tool(value, f"{path}.custom")
    elif not _SERVER_TOOL.match(str(value["type"])):
        raise invalid(
            path,
            f"Input tag '{value['type']}' found using 'type' does not match any of the expected "
            "tags: 'bash_20250124', 'custom', 'text_editor_20250728', 'web_search_20250305', ...",
        )


def check_choice_shape(value: JsonValue, path: str) -> None:
    """The shape of `tool_choice`."""
    _tool_choice(value, path)


def check_tools(tools: Sequence[Json], schemas: SchemaChecks) -> None:
    """Names and schemas of tools whose shape has been checked."""
    names = [tool.get("name", "") for tool in tools]
    if len(set(names)) != len(names):
        raise invalid("tools", "Tool names must be unique.")
    if sum(1 for tool in tools if tool.get("strict")) > _STRICT_TOOLS:
        raise invalid("tools", f"Too many strict tools: at most {_STRICT_TOOLS} are supported.")
    for index, tool in enumerate(tools):
        if is_custom(tool):
            _check_schema(tool, f"tools.{index}.custom", schemas)


def _check_schema(tool: Json, path: str, schemas: SchemaChecks) -> None:
    schema = tool["input_schema"]
    if "type" not in schema:
        raise invalid(f"{path}.input_schema.type", "Field required")
    if schema["type"] != "object":
        raise invalid(f"{path}.input_schema.type", "Input should be 'object'")
    if any(word in schema for word in ("oneOf", "anyOf", "allOf")):
        raise invalid(
            f"{path}.input_schema",
            "input_schema does not support oneOf, allOf, or anyOf at the top level",
        )
    schemas.check(schema, f"{path}.input_schema")
    validator = Draft202012Validator(schema)
    for index, example in enumerate(tool.get("input_examples", ())):
        if not validator.is_valid(example):
            raise invalid(
                f"{path}.input_examples.{index}", "example does not match the tool's input_schema"
            )


def check_choice(choice: Json, tools: Sequence[Json], model: Model, thinking_type: str) -> None:
    """Whether the choice fits the tools, the model and the thinking in use."""
    kind = choice["type"]
    if not tools and kind != "none":
        raise invalid("tool_choice", "tool_choice may only be specified while providing tools.")
    if kind not in ("any", "tool"):
        return
    if not model.forced_tools:
        raise ApiError(400, 'tool_choice: type "tool" and "any" are not supported for this model.')
    if thinking_type == "enabled":
        raise ApiError(400, "Thinking may not be enabled when tool_choice forces tool use.")
    if kind == "tool" and choice["name"] not in {tool.get("name") for tool in tools}:
        raise invalid("tool_choice", f"Tool '{choice['name']}' not found in provided tools")
