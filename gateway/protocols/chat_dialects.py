"""What clients send to `POST /v1/chat/completions` that is no chat request, made one.

Cursor sends there, by mode and by the model's name, bodies of the Responses API (`input`, flat and
custom tools, `text`, items of calls and their outputs), fields of the Messages API, and mixtures
of all with ordinary messages. What the chat translation reads by itself - flat and bare tools,
Anthropic's blocks and tool choices, arguments that are no JSON - is left to it.

Pure and deterministic; an item's message depends on that item alone, so that a longer conversation
begins with the messages of the shorter one.
"""

from itertools import repeat
from operator import contains, itemgetter

from gateway.errors import InvalidRequestError
from gateway.protocols import openai_chat
from gateway.protocols.chat_dialect_items import ItemConverter, joined_name
from gateway.protocols.shared.draft import Draft
from gateway.protocols.shared.prefix import PrefixUse
from gateway.protocols.shared.reading import (
    missing,
    optional_list,
    optional_object,
    shown_names,
    unsupported,
    wrong_type,
)
from gateway.structs import Struct, field
from gateway.wire import JSON, JSONObject

# Fields of the other two protocols that a chat request would lose without a word.
_FOREIGN = frozenset(
    {"input", "instructions", "max_output_tokens", "output_config", "stop_sequences", "text"}
)
_OWN_TOOLS = frozenset({None, "function", "custom"})
_TYPE = itemgetter("type")
# Tools that a provider runs itself. Clients offer some by default, and a conversation without web
# search is better than none.
_HOSTED = (
    "apply_patch", "code_execution", "code_interpreter", "computer", "file_search",
    "image_generation", "local_shell", "mcp", "programmatic_tool_calling", "shell", "tool_search",
    "web_fetch", "web_search",
)  # fmt: skip
_ELSEWHERE = ("conversation", "previous_response_id", "prompt")
"""Fields of the Responses API that stand for messages which are not in the body."""


class ChatForm(Struct, frozen=True):
    """A body in the form of a chat request.

    `origins` maps paths in `body` to those in what the client sent, where they differ; `ignored`
    names what was dropped.
    """

    body: JSONObject
    origins: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    def origin(self, path: str) -> str:
        """The path in the client's body of a path in this one."""
        end = len(path)
        while end > 0:
            known = self.origins.get(path[:end])
            if known is not None:
                return known + path[end:]
            end = max(path.rfind(".", 0, end), path.rfind("[", 0, end))
        return path


def translate(body: JSONObject, prefix: PrefixUse | None = None) -> Draft:
    """The draft of a chat request in any of its dialects; `prefix` as in `openai_chat`.

    Raises InvalidRequestError with the JSON path in the client's own body in `param`.
    """
    form = chat_form(body)
    if form.body is body:
        return openai_chat.translate(body, prefix)
    try:
        draft = openai_chat.translate(form.body)
    except InvalidRequestError as error:
        raise _at_origin(error, form) from error
    draft.ignored = shown_names([*draft.ignored, *form.ignored])
    draft.schema_param = form.origin(draft.schema_param)
    return draft


def chat_form(body: JSONObject) -> ChatForm:
    """`body` as a chat request: itself, not a copy, when it is one already.

    Raises InvalidRequestError for what cannot be said in a chat request.
    """
    return ChatForm(body) if _is_chat(body) else _Conversion(body).form()


def _is_chat(body: JSONObject) -> bool:
    if not _FOREIGN.isdisjoint(body):
        return False
    messages, tools = body.get("messages"), body.get("tools")
    if isinstance(tools, list) and not _are_own(tools):
        return False
    try:  # every request pays for this look: it stays in C
        return not isinstance(messages, list) or all(map(contains, messages, repeat("role")))
    except TypeError:  # a message that is no object, refused with its path when it is read
        return True


def _are_own(tools: list[JSON]) -> bool:
    try:  # in C, as above
        return _OWN_TOOLS.issuperset(map(_TYPE, tools))
    except (KeyError, TypeError):  # bare tools, and what is none
        own = tuple(_OWN_TOOLS)
        return all(tool.get("type") in own for tool in tools if isinstance(tool, dict))


class _Conversion:
    """One conversion; what it makes is collected in `_chat` and `_origins`."""

    def __init__(self, body: JSONObject) -> None:
        self._body = body
        self._chat = {name: value for name, value in body.items() if name not in _FOREIGN}
        self._items = ItemConverter()
        self._origins = self._items.origins
        self._ignored = self._items.ignored

    def form(self) -> ChatForm:
        """Runs the steps; items come before tools, for they can bring some."""
        self._convert_messages()
        self._convert_tools()
        self._convert_choice()
        self._convert_limits()
        self._convert_text()
        self._convert_output_config()
        return ChatForm(self._chat, self._origins, self._ignored)

    def _convert_messages(self) -> None:
        source = "messages" if self._body.get("messages") else "input"
        if source == "input" and "input" not in self._body:
            return  # refused by the name "messages" when they are read
        if source == "messages" and self._body.get("input") is not None:
            self._ignored.append("input")
        if source == "input":
            self._refuse_elsewhere()
        if self._body.get("instructions") is not None:
            instructions = {"role": "system", "content": self._body["instructions"]}
            path = self._items.add(instructions, "instructions")
            self._origins[f"{path}.content"] = "instructions"
        given = self._body.get(source)
        if isinstance(given, str) and source == "input":
            path = self._items.add({"role": "user", "content": given}, "input")
            self._origins[f"{path}.content"] = "input"
        elif isinstance(given, list):
            self._items.convert(given, source)
        elif given is None:
            raise missing(source)
        else:
            expected = "an array" if source == "messages" else "a string or an array of items"
            raise wrong_type(source, expected, given)
        self._origins["messages"] = source
        self._chat["messages"] = self._items.messages

    def _refuse_elsewhere(self) -> None:
        for name in _ELSEWHERE:
            if self._body.get(name) is not None:
                raise unsupported(name, "is not supported here: send the whole conversation")
        if self._body.get("background") is True:
            raise unsupported("background", "is not supported here")

    def _convert_tools(self) -> None:
        given = [
            (tool, f"tools[{index}]")
            for index, tool in enumerate(optional_list(self._body.get("tools"), "tools"))
        ]
        tools: list[JSON] = []
        for tool, origin in [*given, *self._items.tools]:
            for own, path in self._own_tools(tool, origin):
                if path != f"tools[{len(tools)}]":
                    self._origins[f"tools[{len(tools)}]"] = path
                tools.append(own)
        if given or tools:
            self._chat["tools"] = tools

    def _own_tools(self, tool: JSON, origin: str) -> list[tuple[JSON, str]]:
        """The tools of the client that a definition stands for."""
        if not isinstance(tool, dict):
            return [(tool, origin)]
        kind = tool.get("type")
        if _is_hosted(kind):
            self._ignored.append(f"tools.{kind}")
            return []
        if kind != "namespace":
            return [(tool, origin)]
        inner = optional_list(tool.get("tools"), f"{origin}.tools")
        return [
            (_in_namespace(each, tool.get("name")), f"{origin}.tools[{index}]")
            for index, each in enumerate(inner)
        ]

    def _convert_choice(self) -> None:
        """`tool_choice` without namespaces, and without tools that were dropped."""
        choice = self._body.get("tool_choice")
        if not isinstance(choice, dict):
            return
        if _is_hosted(choice.get("type")):
            raise unsupported("tool_choice.type", "names a tool that Claude does not have here")
        if choice.get("type") != "allowed_tools":
            self._chat["tool_choice"] = _flat(choice)
            return
        nested = isinstance(choice.get("allowed_tools"), dict)
        inner = choice["allowed_tools"] if nested else choice
        listed = inner.get("tools")
        if isinstance(listed, list) and listed:
            own = [_flat(tool) for tool in listed if not _is_hosted(_type_of(tool))]
            narrowed = {**inner, "tools": own}
            if nested:
                narrowed = {**choice, "allowed_tools": narrowed}
            self._chat["tool_choice"] = narrowed if own else "none"

    def _convert_limits(self) -> None:
        limits = ("max_tokens", "max_completion_tokens")
        limited = any(self._body.get(name) is not None for name in limits)
        self._rename("max_output_tokens", "max_completion_tokens", unless=limited)
        self._rename("stop_sequences", "stop", unless=self._body.get("stop") is not None)

    def _rename(self, foreign: str, own: str, *, unless: bool) -> None:
        if self._body.get(foreign) is None:
            return
        if unless:
            self._ignored.append(foreign)
            return
        self._chat[own] = self._body[foreign]
        self._origins[own] = foreign

    def _convert_text(self) -> None:
        """`text.format` of the Responses API, whose json_schema is flat."""
        text = optional_object(self._body.get("text"), "text")
        if text.get("verbosity") not in (None, "medium"):
            self._ignored.append("text.verbosity")
        asked = optional_object(text.get("format"), "text.format")
        if asked:
            self._set_format(asked, "text.format")

    def _convert_output_config(self) -> None:
        """`output_config` of the Messages API: an effort and a schema."""
        config = optional_object(self._body.get("output_config"), "output_config")
        if config.get("effort") is not None and self._body.get("reasoning_effort") is None:
            self._chat["reasoning_effort"] = config["effort"]
            self._origins["reasoning_effort"] = "output_config.effort"
        asked = optional_object(config.get("format"), "output_config.format")
        if asked:
            self._set_format(asked, "output_config.format")

    def _set_format(self, asked: JSONObject, origin: str) -> None:
        if self._chat.get("response_format") is not None:
            self._ignored.append(origin)
            return
        named = {name: value for name, value in asked.items() if name != "type"}
        kind = asked.get("type")
        self._chat["response_format"] = (
            {"type": kind, "json_schema": named} if kind == "json_schema" else asked
        )
        self._origins["response_format"] = origin
        self._origins["response_format.json_schema"] = origin


def _is_hosted(kind: JSON) -> bool:
    """True for the type of a tool that a provider runs, with or without its date."""
    if not isinstance(kind, str):
        return False
    return any(
        kind == name or kind.startswith((f"{name}_20", f"{name}_preview", f"{name}_use"))
        for name in _HOSTED
    )


def _in_namespace(tool: JSON, space: JSON) -> JSON:
    if not isinstance(tool, dict):
        return tool
    return {**tool, "name": joined_name({**tool, "namespace": space})}


def _flat(choice: JSON) -> JSON:
    """A tool as it is named in `tool_choice`, with its namespace in the name."""
    if isinstance(choice, dict) and isinstance(choice.get("namespace"), str):
        return {**choice, "name": joined_name(choice)}
    return choice


def _type_of(tool: JSON) -> JSON:
    return tool.get("type") if isinstance(tool, dict) else None


def _at_origin(error: InvalidRequestError, form: ChatForm) -> InvalidRequestError:
    """`error` with the path in the client's body, in its message too."""
    if error.param is None:
        return error
    origin = form.origin(error.param)
    message = error.message
    if message.startswith(error.param):
        message = origin + message[len(error.param) :]
    return type(error)(message, param=origin, code=error.code)
