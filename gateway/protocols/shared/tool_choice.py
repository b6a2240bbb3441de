"""`tool_choice`, `function_call` and `parallel_tool_calls` as Claude's `tool_choice`."""

from gateway.protocols.shared.reading import invalid, missing, optional_bool, wrong_type
from gateway.protocols.shared.tools import DeclaredTools
from gateway.structs import Struct
from gateway.wire import JSON, JSONObject

_WORDS = {"auto": "auto", "none": "none", "required": "any", "any": "any"}


class Choice(Struct, frozen=True):
    """The `tool_choice` to send, None for the default, and an instruction that goes with it."""

    value: JSONObject | None
    instruction: str | None = None


def choose_tools(body: JSONObject, tools: DeclaredTools) -> Choice:
    """The choice a chat request makes among its tools. Raises InvalidRequestError."""
    param, asked = "tool_choice", body.get("tool_choice")
    if asked is None:
        param, asked = "function_call", body.get("function_call")
    choice = _choice(asked, tools, param)
    parallel = optional_bool(body.get("parallel_tool_calls"), "parallel_tool_calls")
    if not tools.by_name:
        return _without_tools(choice, param)
    value = choice.value or {"type": "auto"}
    single = value.pop("disable_parallel_tool_use", False) or parallel is False
    if not single or value["type"] == "none":
        return choice
    return Choice({**value, "disable_parallel_tool_use": True}, choice.instruction)


def _without_tools(choice: Choice, param: str) -> Choice:
    if choice.value is not None and choice.value["type"] not in ("auto", "none"):
        raise invalid(param, "needs tools to choose from")
    return Choice(None)


def _choice(asked: JSON, tools: DeclaredTools, param: str) -> Choice:
    if asked is None:
        return Choice(None)
    if isinstance(asked, str):
        word = _WORDS.get(asked)
        if word is None:
            raise invalid(param, "must be none, auto, required or name a tool")
        return Choice({"type": word})
    if not isinstance(asked, dict):
        raise wrong_type(param, "a string or an object", asked)
    kind = asked.get("type")
    if kind == "allowed_tools":
        return _allowed(asked, tools, param)
    if kind in ("auto", "none", "any"):  # Anthropic's own form
        value = {"type": kind}
    else:
        value = {"type": "tool", "name": _named(asked, tools, param)}
    if asked.get("disable_parallel_tool_use") is True:
        value["disable_parallel_tool_use"] = True
    return Choice(value)


def _named(asked: JSONObject, tools: DeclaredTools, param: str) -> str:
    """The sent name of the one tool that is named, nested or flat."""
    for key in ("function", "custom"):
        if isinstance(asked.get(key), dict):
            return _declared(asked[key].get("name"), tools, f"{param}.{key}.name")
    kind = asked.get("type")
    if kind not in (None, "function", "custom", "tool"):
        raise invalid(f"{param}.type", "is not a way to choose tools that is known here")
    if "name" in asked:
        return _declared(asked["name"], tools, f"{param}.name")
    raise missing(f"{param}.name" if kind in (None, "tool") else f"{param}.{kind}.name")


def _declared(name: JSON, tools: DeclaredTools, param: str) -> str:
    if not isinstance(name, str):
        raise missing(param) if name is None else wrong_type(param, "a string", name)
    sent = tools.names.sent(name)
    if sent not in tools.by_name:
        raise invalid(param, "names a tool that is not among the tools")
    return sent


def _allowed(asked: JSONObject, tools: DeclaredTools, param: str) -> Choice:
    """`allowed_tools`: all tools stay, for the cache, and a line says which ones may be called."""
    inner, path = asked, param
    if isinstance(asked.get("allowed_tools"), dict):
        inner, path = asked["allowed_tools"], f"{param}.allowed_tools"
    listed = inner.get("tools")
    if not isinstance(listed, list) or not listed:
        raise missing(f"{path}.tools")
    names = []
    for index, tool in enumerate(listed):
        if not isinstance(tool, dict):
            raise wrong_type(f"{path}.tools[{index}]", "an object", tool)
        names.append(_named(tool, tools, f"{path}.tools[{index}]"))
    mode = inner.get("mode", "auto")
    if mode not in ("auto", "required"):
        raise invalid(f"{path}.mode", "must be auto or required")
    names = sorted(set(names))
    if len(names) == len(tools.by_name):
        return Choice({"type": "auto" if mode == "auto" else "any"})
    if mode == "required" and len(names) == 1:
        return Choice({"type": "tool", "name": names[0]})
    listing = ", ".join(f"`{name}`" for name in names)
    instruction = f"In this answer, call no other tools than these: {listing}."
    return Choice({"type": "auto" if mode == "auto" else "any"}, instruction)
