"""Tool definitions of clients as Claude's `tools`: names, schemas, custom and legacy forms."""

from functools import lru_cache

from gateway import wire
from gateway.errors import InvalidRequestError
from gateway.protocols.shared.cache_marks import CacheMarks
from gateway.protocols.shared.reading import invalid, missing, unsupported, wrong_type
from gateway.protocols.shared.tool_names import ToolNames
from gateway.protocols.shared.tool_schemas import input_schema
from gateway.structs import Struct, field, replace
from gateway.wire import JSON, JSONObject

_CUSTOM_INPUT: JSONObject = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
_REMEMBERED = 32  # lists of tools: each client has its own, which comes with every request
_REMEMBERED_BYTES = 2**17
_MARK, _BREAKPOINT = b'"cache_control"', b'"prompt_cache_breakpoint"'
_STUB_DESCRIPTION = "Was used earlier in this conversation; it cannot be called now."


class DeclaredTools(Struct):
    """The tools of one request. `by_name`, `custom` and `wrapped` hold sent names."""

    names: ToolNames = field(default_factory=ToolNames)
    by_name: dict[str, JSONObject] = field(default_factory=dict)
    custom: set[str] = field(default_factory=set)
    wrapped: set[str] = field(default_factory=set)
    marked: JSONObject | None = None
    strict: bool = False

    def copy(self) -> "DeclaredTools":
        """The same tools, all declared: names can be added to it. What is declared is shared."""
        return replace(self, names=self.names.copy())

    def in_order(self) -> list[JSONObject]:
        """The definitions sorted by name: clients that list tools in changing order keep the cache.

        A cache mark on any tool means "up to the tools": it moves to the last one.
        """
        tools = [self.by_name[name] for name in sorted(self.by_name)]
        if self.marked is not None and tools:
            tools[-1] = {**tools[-1], "cache_control": self.marked}
        return tools


def declare_tools(tools: list[JSON], functions: list[JSON], marks: CacheMarks) -> DeclaredTools:
    """The client's `tools` and legacy `functions`. Raises InvalidRequestError with the path.

    Definitions without marks are shared by all requests that send the same: nobody may change them.
    """
    try:
        raw = wire.dumps([tools, functions])
    except InvalidRequestError:
        return _declared(tools, functions, marks)  # tells where it is nested too deeply
    if len(raw) > _REMEMBERED_BYTES or _MARK in raw or _BREAKPOINT in raw:
        return _declared(tools, functions, marks)
    return _remembered(_ToolLists(raw, tools, functions)).copy()


class _ToolLists:
    """The lists of a request, found again by their JSON."""

    __slots__ = ("_raw", "functions", "tools")

    def __init__(self, raw: bytes, tools: list[JSON], functions: list[JSON]) -> None:
        self._raw = raw
        self.tools = tools
        self.functions = functions

    def __hash__(self) -> int:
        return hash(self._raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ToolLists) and self._raw == other._raw


@lru_cache(maxsize=_REMEMBERED)
def _remembered(lists: _ToolLists) -> DeclaredTools:
    return _declared(lists.tools, lists.functions, CacheMarks())


def _declared(tools: list[JSON], functions: list[JSON], marks: CacheMarks) -> DeclaredTools:
    declared = DeclaredTools()
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise wrong_type(path, "an object", tool)
        declare_tool(tool, path, declared)
        declared.marked = marks.of(tool) or declared.marked
    for index, function in enumerate(functions):
        path = f"functions[{index}]"
        if not isinstance(function, dict):
            raise wrong_type(path, "an object", function)
        _add(declared, function, path, _parameters(function, path))
    return declared


def declare_tool(tool: JSONObject, path: str, declared: DeclaredTools) -> None:
    """Adds one function or custom tool, nested or flat."""
    kind = tool.get("type")
    nested = tool.get("function" if kind in (None, "function") else "custom")
    if kind not in (None, "function", "custom"):
        if not isinstance(kind, str):
            raise wrong_type(f"{path}.type", "a string", kind)
        raise unsupported(f"{path}.type", "must be function or custom", "unsupported_tool")
    if isinstance(nested, dict):
        definition, inner = nested, f"{path}.{'custom' if kind == 'custom' else 'function'}"
    elif "name" in tool:  # flat, as in the Responses and the Messages form
        definition, inner = tool, path
    else:
        raise missing(f"{path}.{'custom' if kind == 'custom' else 'function'}")
    # Anthropic's own tools may carry type "custom" too; they are told by their schema.
    if kind == "custom" and "input_schema" not in definition:
        _add(declared, definition, inner, None)
    else:
        _add(declared, definition, inner, _parameters(definition, inner))


def _parameters(definition: JSONObject, path: str) -> tuple[JSONObject, bool]:
    for key in ("parameters", "input_schema"):
        if definition.get(key) is not None:
            return input_schema(definition[key], f"{path}.{key}")
    return input_schema(None, path)


def _add(
    declared: DeclaredTools,
    definition: JSONObject,
    path: str,
    schema: tuple[JSONObject, bool] | None,
) -> None:
    """Adds one tool; `schema` None means a custom one, whose input is free text."""
    name = definition.get("name")
    if not isinstance(name, str) or not name:
        raise missing(f"{path}.name") if not name else wrong_type(f"{path}.name", "a string", name)
    sent = declared.names.sent(name)
    tool: JSONObject = {"name": sent}
    description = definition.get("description")
    if description is not None and not isinstance(description, str):
        raise wrong_type(f"{path}.description", "a string", description)
    if schema is None:
        description = _custom_description(description, definition.get("format"))
    if description:
        tool["description"] = description
    tool["input_schema"] = _CUSTOM_INPUT if schema is None else schema[0]
    known = declared.by_name.get(sent)
    if known is not None and known != tool:
        raise invalid(f"{path}.name", "is used by two tools that differ", "duplicate_tool_name")
    declared.by_name[sent] = tool
    declared.strict = declared.strict or definition.get("strict") is True
    if schema is None:
        declared.custom.add(sent)
    elif schema[1]:
        declared.wrapped.add(sent)


def _custom_description(description: str | None, form: JSON) -> str:
    """The description with the tool's grammar, which Claude can read but not be held to."""
    texts = [description] if description else []
    if isinstance(form, dict) and form.get("type") not in (None, "text"):
        nested = form.get("grammar")
        grammar = nested if isinstance(nested, dict) else form
        syntax, definition = grammar.get("syntax"), grammar.get("definition")
        if isinstance(definition, str):
            kind = f"{syntax} grammar" if isinstance(syntax, str) else "grammar"
            texts.append(f"The input must follow this {kind}:\n{definition}")
        else:
            texts.append(f"The input must have this format: {wire.dumps_text(form)}")
    return "\n\n".join(texts)


def stub_tools(names: list[str]) -> list[JSONObject]:
    """Definitions for sent names that only the history knows: tool blocks need `tools`."""
    return [
        {
            "name": name,
            "description": _STUB_DESCRIPTION,
            "input_schema": {"type": "object", "properties": {}},
        }
        for name in sorted(set(names))
    ]
