"""Items of the Responses API as messages of a chat, one message for each item.

Neighbours that belong into one message - text and calls of the assistant, results of parallel
calls - are joined by the reader of the messages. An item's message depends on nothing but the item.

Source: SDK type `ResponseInputItem`, and what clients mix with it.
"""

from gateway.protocols.shared.reading import invalid, unsupported, wrong_type
from gateway.structs import Struct, field
from gateway.wire import JSON, JSONObject

_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
# Calls of tools that OpenAI defines: the tool's name, and the field its arguments are in.
_DEFINED_CALLS = {
    "local_shell_call": ("local_shell", "action"),
    "shell_call": ("shell", "action"),
    "apply_patch_call": ("apply_patch", "operation"),
}
_OUTPUTS = frozenset(
    {
        "function_call_output", "custom_tool_call_output", "local_shell_call_output",
        "shell_call_output", "apply_patch_call_output",
    }
)  # fmt: skip
# Items of OpenAI's own tools and of its bookkeeping: the conversation reads on without them.
_DROPPED = frozenset(
    {
        "reasoning", "code_interpreter_call", "compaction_trigger", "computer_call",
        "computer_call_output", "configuration_update", "file_search_call",
        "image_generation_call", "mcp_approval_request", "mcp_approval_response", "mcp_call",
        "mcp_list_tools", "program", "program_output", "tool_search_call", "tool_search_output",
        "web_search_call",
    }
)  # fmt: skip
_KNOWN = _OUTPUTS | _DROPPED | {*_CALLS, *_DEFINED_CALLS, "additional_tools"}
_LOSING = ("compaction", "context_compaction")
"""Items that stand for a whole part of the conversation, which only OpenAI can read."""


class ItemConverter(Struct):
    """Converts the items of one request.

    `messages` and `tools` are what it makes; `origins` maps paths in them to the client's own;
    `ignored` gets the names of what was dropped.
    """

    messages: list[JSON] = field(default_factory=list)
    tools: list[tuple[JSON, str]] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    def add(self, message: JSON, origin: str) -> str:
        """Takes a message as it is; returns its path."""
        path = f"messages[{len(self.messages)}]"
        self.messages.append(message)
        if path != origin:
            self.origins[path] = origin
        return path

    def convert(self, items: list[JSON], source: str) -> None:
        """Takes all items of the field `source`. Raises InvalidRequestError."""
        for index, item in enumerate(items):
            self._convert(item, source, f"{source}[{index}]")

    def _convert(self, item: JSON, source: str, origin: str) -> None:
        if not isinstance(item, dict):
            self.add(item, origin)  # refused when the messages are read
            return
        kind = _kind(item, origin)
        if kind == "message":
            self.add(item, origin)
        elif kind in _CALLS:
            self._add_call(item, kind, origin)
        elif kind in _OUTPUTS:
            self._add_output(item, origin)
        elif kind in _DEFINED_CALLS:
            name, arguments = _DEFINED_CALLS[kind]
            call = {"type": "function_call", "name": name, "arguments": item.get(arguments)}
            self._add_call({**item, **call}, "function_call", origin)
        elif kind in _DROPPED:
            self.ignored.append(f"{source}.{kind}")
        elif kind == "additional_tools" and isinstance(item.get("tools"), list):
            tools = enumerate(item["tools"])
            self.tools += [(tool, f"{origin}.tools[{number}]") for number, tool in tools]
        else:
            raise _unreadable(kind, origin)

    def _add_call(self, item: JSONObject, kind: str, origin: str) -> None:
        identity = "call_id" if item.get("call_id") is not None else "id"
        name, given = joined_name(item), item.get(_CALLS[kind])
        call: JSONObject = {"id": item.get(identity)}
        if kind == "function_call":
            call |= {"name": name, "arguments": given}
        else:
            call |= {"type": "custom", "custom": {"name": name, "input": given}}
        if item.get("cache_control") is not None:
            call["cache_control"] = item["cache_control"]
        path = self.add({"role": "assistant", "tool_calls": [call]}, origin)
        inner = f"{path}.tool_calls[0]"
        self.origins |= {
            inner: origin,
            f"{inner}.id": f"{origin}.{identity}",
            f"{inner}.custom": origin,
        }

    def _add_output(self, item: JSONObject, origin: str) -> None:
        identity = "call_id" if item.get("call_id") is not None else "id"
        result: JSONObject = {"role": "tool", "tool_call_id": item.get(identity)}
        result["content"] = item.get("output")
        if item.get("cache_control") is not None:
            result["cache_control"] = item["cache_control"]
        path = self.add(result, origin)
        self.origins |= {
            f"{path}.content": f"{origin}.output",
            f"{path}.tool_call_id": f"{origin}.{identity}",
        }


def joined_name(named: JSONObject) -> JSON:
    """The name of a tool or call, with its namespace in front."""
    name, space = named.get("name"), named.get("namespace")
    if isinstance(name, str) and isinstance(space, str) and space:
        return f"{space}__{name}"
    return name


def _kind(item: JSONObject, origin: str) -> str:
    """The type of an item; messages and references may leave it out."""
    kind = item.get("type")
    if "role" in item and not (isinstance(kind, str) and kind in _KNOWN):
        return "message"
    if kind is None:
        return "item_reference" if "id" in item else "message"
    if not isinstance(kind, str):
        raise wrong_type(f"{origin}.type", "a string", kind)
    return kind


def _unreadable(kind: str, origin: str) -> Exception:
    if kind == "item_reference":
        return invalid(
            f"{origin}.id", "names an item that is not stored: send the item itself", "not_found"
        )
    if kind in _LOSING:
        return unsupported(origin, "can only be read by the server that made it")
    return unsupported(f"{origin}.type", "is not a type of item that is known here")
