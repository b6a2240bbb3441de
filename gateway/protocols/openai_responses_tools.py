"""Tools of the Responses API: flat definitions, namespaces, and tools OpenAI would run itself.

A namespace is flattened: its tool is sent as `<namespace>__<name>`, and its calls come back with
both parts apart. Hosted tools are dropped: clients offer some by default, and a conversation
without web search is better than none. One that must be called is a 400.

Source: SDK types `Tool`, `NamespaceTool`, `ToolChoice`.
"""

from gateway.protocols.shared.cache_marks import CacheMarks
from gateway.protocols.shared.reading import missing, optional_list, unsupported, wrong_type
from gateway.protocols.shared.tool_choice import Choice, choose_tools
from gateway.protocols.shared.tools import DeclaredTools, declare_tool
from gateway.structs import Struct, field
from gateway.wire import JSON, JSONObject

_OWN_KINDS = (None, "function", "custom")
_HOSTED = frozenset(
    {
        "apply_patch", "code_interpreter", "computer", "computer_use", "computer_use_preview",
        "file_search", "image_generation", "local_shell", "mcp", "programmatic_tool_calling",
        "shell", "tool_search", "web_search", "web_search_2025_08_26", "web_search_preview",
        "web_search_preview_2025_03_11",
    }
)  # fmt: skip


class ResponseTools(Struct):
    """The tools of one request. `namespaces` maps a sent name to (namespace, name).

    `ignored` gets the names of what was dropped.
    """

    marks: CacheMarks
    ignored: list[str]
    declared: DeclaredTools = field(default_factory=DeclaredTools)
    namespaces: dict[str, tuple[str, str]] = field(default_factory=dict)

    def declare(self, tools: JSON, path: str) -> None:
        """Takes the definitions in `tools`. Raises InvalidRequestError with the path."""
        for index, tool in enumerate(optional_list(tools, path)):
            inner = f"{path}[{index}]"
            if not isinstance(tool, dict):
                raise wrong_type(inner, "an object", tool)
            if tool.get("type") == "namespace":
                self._declare_namespace(tool, inner)
            else:
                self._declare_one(tool, inner)
            self.declared.marked = self.marks.of(tool) or self.declared.marked

    def _declare_one(self, tool: JSONObject, path: str) -> None:
        kind = tool.get("type")
        if isinstance(kind, str) and kind in _HOSTED:
            self.ignored.append(f"tools.{kind}")
            return
        declare_tool(tool, path, self.declared)

    def _declare_namespace(self, space: JSONObject, path: str) -> None:
        name = _name(space, path)
        for index, tool in enumerate(optional_list(space.get("tools"), f"{path}.tools")):
            inner = f"{path}.tools[{index}]"
            if not isinstance(tool, dict):
                raise wrong_type(inner, "an object", tool)
            if tool.get("type") not in _OWN_KINDS:
                raise unsupported(f"{inner}.type", "must be function or custom", "unsupported_tool")
            own = _name(tool, inner)
            declare_tool({**tool, "name": joined_name(own, name)}, inner, self.declared)
            self.namespaces[self.declared.names.sent(joined_name(own, name))] = (name, own)

    def sent_name(self, name: str, namespace: str | None) -> str:
        """The name to send for a tool of the client."""
        joined = joined_name(name, namespace)
        sent = self.declared.names.sent(joined)
        if namespace:
            self.namespaces.setdefault(sent, (namespace, name))
        return sent

    def choose(self, body: JSONObject) -> Choice:
        """What `tool_choice` and `parallel_tool_calls` say. Raises InvalidRequestError."""
        asked = body.get("tool_choice")
        if isinstance(asked, dict):
            asked = self._own_choice(asked)
        parallel = body.get("parallel_tool_calls")
        choice = {"tool_choice": asked, "parallel_tool_calls": parallel}
        return choose_tools(choice, self.declared)

    def _own_choice(self, asked: JSONObject) -> JSON:
        """`asked` without namespaces and hosted tools."""
        kind = asked.get("type")
        if isinstance(kind, str) and kind in _HOSTED:
            raise unsupported("tool_choice", f"cannot be {kind}: Claude has no such tool here")
        if kind != "allowed_tools":
            return _flat(asked)
        nested = isinstance(asked.get("allowed_tools"), dict)
        inner = asked["allowed_tools"] if nested else asked
        listed = inner.get("tools")
        if not isinstance(listed, list):
            return asked
        own = self._allowed(listed)
        if listed and not own:
            return "none"  # only tools that were dropped may be called
        narrowed = {**inner, "tools": own}
        return {**asked, "allowed_tools": narrowed} if nested else narrowed

    def _allowed(self, listed: list[JSON]) -> list[JSON]:
        """The client's own tools in `listed`; a namespace stands for its tools, once."""
        tools: list[JSON] = []
        spaces: set[str] = set()
        for tool in listed:
            kind = tool.get("type") if isinstance(tool, dict) else None
            if kind == "namespace" and isinstance(tool.get("name"), str):
                spaces.add(tool["name"])
            elif not (isinstance(kind, str) and kind in _HOSTED):
                tools.append(_flat(tool))
        for space, own in self.namespaces.values():
            if space in spaces:
                tools.append({"type": "function", "name": joined_name(own, space)})
        return tools


def joined_name(name: str, namespace: str | None) -> str:
    """One name for a tool of a namespace."""
    return f"{namespace}__{name}" if namespace else name


def _flat(tool: JSON) -> JSON:
    """A tool as named in `tool_choice`, with its namespace in the name."""
    if isinstance(tool, dict):
        name, space = tool.get("name"), tool.get("namespace")
        if isinstance(name, str) and isinstance(space, str):
            return {**tool, "name": joined_name(name, space)}
    return tool


def _name(definition: JSONObject, path: str) -> str:
    name = definition.get("name")
    if not isinstance(name, str) or not name:
        raise missing(f"{path}.name") if not name else wrong_type(f"{path}.name", "a string", name)
    return name
