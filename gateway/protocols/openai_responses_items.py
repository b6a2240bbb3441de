"""The `input` items of a Responses request as `system` and `messages` of the Messages form.

One pass; the translation of an item looks at nothing behind it. Reasoning, text and calls that
follow each other are one message of the assistant, in the order they came.

Source: SDK type `ResponseInputItem`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from gateway.protocols.history_repair import NO_ROUNDS, Call, ClosedRounds, History
from gateway.protocols.messages_form import is_blank
from gateway.protocols.openai_responses_tools import ResponseTools, joined_name
from gateway.protocols.shared.content import TEXT_PARTS, ContentReader
from gateway.protocols.shared.reading import (
    SYSTEM_ROLES,
    invalid,
    missing,
    optional_string,
    unsupported,
    wrong_type,
)
from gateway.protocols.shared.sealed_thinking import (
    NO_THINKING,
    SealedThinking,
    ThinkingSeal,
    advanced,
)
from gateway.protocols.shared.tool_arguments import tool_input
from gateway.wire import JSON, JSONObject

MAX_ITEMS = 100_000  # the API's limit of messages

Lookup = Callable[[str], JSONObject | None]
"""Gives the stored item of an id, None when there is none."""

# Items of OpenAI's own tools and of its bookkeeping: the conversation reads on without them.
_DROPPED = frozenset(
    {
        "code_interpreter_call", "compaction_trigger", "computer_call", "computer_call_output",
        "configuration_update", "file_search_call", "image_generation_call",
        "mcp_approval_request", "mcp_approval_response", "mcp_call", "mcp_list_tools", "program",
        "program_output", "tool_search_call", "tool_search_output", "web_search_call",
    }
)  # fmt: skip
_LOSING = ("compaction", "context_compaction")
"""Items that stand for a whole part of the conversation, which only OpenAI can read."""
_CALLS = frozenset(
    {"apply_patch_call", "custom_tool_call", "function_call", "local_shell_call", "shell_call"}
)
_OUTPUTS = frozenset(
    {
        "apply_patch_call_output", "custom_tool_call_output", "function_call_output",
        "local_shell_call_output", "shell_call_output",
    }
)  # fmt: skip
# Calls of tools that OpenAI defines: the tool's name, and the field its arguments are in.
_HOSTED_CALLS = {
    "local_shell_call": ("local_shell", "action"),
    "shell_call": ("shell", "action"),
    "apply_patch_call": ("apply_patch", "operation"),
}


class ItemReader:
    """Reads the items of one request. Created per request.

    `system` and `history` are what it fills, `tools` learns names that were not declared; `chain`
    is the digest of the thinking in the history, `models` are the models that wrote it. It goes on
    behind what was `closed` already.
    """

    _READERS: ClassVar[dict[str, Callable[["ItemReader", JSONObject, str], None]]]

    def __init__(
        self,
        tools: ResponseTools,
        content: ContentReader,
        seal: ThinkingSeal | None,
        lookup: Lookup,
        closed: ClosedRounds = NO_ROUNDS,
    ) -> None:
        self.system: list[JSONObject] = []
        self.history = History(closed)
        self.chain = NO_THINKING
        self.models: set[str] = set()
        self.tools = tools
        self._content = content
        self._seal = seal
        self._lookup = lookup
        self._pending: list[SealedThinking] = []
        self._leading = True

    def go_on(self, system: list[JSONObject], chain: str, models: Iterable[str]) -> None:
        """Take what has been read before as read."""
        self.system += system
        self.chain = chain
        self.models |= set(models)

    def read_instructions(self, instructions: JSON) -> None:
        """The text that stands before all items."""
        if isinstance(optional_string(instructions, "instructions"), str):
            self.system += self._content.blocks(instructions, "instructions", text_only=True)

    def read(
        self, items: Sequence[JSON], param: str, begin: int = 0, end: int | None = None
    ) -> None:
        """Reads items from `begin` on, up to before `end`.

        Raises InvalidRequestError with the path of the first bad value.
        """
        if len(items) > MAX_ITEMS:
            raise invalid(param, f"has more than {MAX_ITEMS} entries")
        for index, item in enumerate(items[begin:end], begin):
            self._item(item, f"{param}[{index}]")

    def _item(self, item: JSON, path: str) -> None:
        if not isinstance(item, dict):
            raise wrong_type(path, "an object", item)
        kind = item_kind(item, path)
        reader = self._READERS.get(kind)
        if reader is not None:
            reader(self, item, path)
        elif kind in _DROPPED:
            self.tools.ignored.append(f"input.{kind}")
        elif kind in _LOSING:
            raise unsupported(path, "can only be read by the server that made it")
        else:
            raise unsupported(f"{path}.type", "is not a type of item that is known here")

    def _read_message(self, item: JSONObject, path: str) -> None:
        role = item.get("role")
        content, inner = item.get("content"), f"{path}.content"
        if role in SYSTEM_ROLES:
            blocks = self._content.blocks(content, inner, text_only=True)
            self._content.marks.put(item, blocks)
            self._add_system(blocks)
        elif role == "user":
            blocks = self._content.blocks(content, inner)
            self._content.marks.put(item, blocks)
            self._on_other_side()
            self.history.add_user(blocks)
        elif role == "assistant":
            blocks = self._assistant_blocks(content, inner)
            self._content.marks.put(item, blocks)
            self._say(blocks)
        elif role is None:
            raise missing(f"{path}.role")
        elif not isinstance(role, str):
            raise wrong_type(f"{path}.role", "a string", role)
        else:
            raise invalid(f"{path}.role", "must be system, developer, user or assistant")

    def _assistant_blocks(self, content: JSON, path: str) -> list[JSONObject]:
        if not isinstance(content, list):
            return self._content.blocks(content, path, text_only=True)
        blocks: list[JSONObject] = []
        for index, part in enumerate(content):
            blocks += self._content.assistant_part(part, f"{path}[{index}]")
        return blocks

    def _add_system(self, blocks: list[JSONObject]) -> None:
        if self._leading:
            self.system += blocks
        elif blocks:
            self._pending.clear()
            self.history.add_system(blocks)

    def _on_other_side(self) -> None:
        """Something that is not the assistant's comes: thinking that led to nothing is dropped."""
        self._leading = False
        self._pending.clear()

    def _say(self, blocks: Sequence[JSONObject | Call]) -> None:
        """Adds blocks of the assistant behind the thinking that led to them."""
        self._leading = False
        if not blocks:
            return
        thinking: list[JSONObject] = []
        for sealed in self._pending:
            if sealed.chain == self.chain:
                thinking.append(sealed.block)
                self.chain = advanced(self.chain, sealed.block)
                self.models.add(sealed.model)
        self._pending.clear()
        self.history.add_said([*thinking, *blocks])

    def _read_reasoning(self, item: JSONObject, path: str) -> None:
        self._leading = False
        text = optional_string(item.get("encrypted_content"), f"{path}.encrypted_content")
        if not text:
            return
        opened = None if self._seal is None else self._seal.open(text)
        if opened is None:
            self.tools.ignored.append("input.reasoning")
        else:
            self._pending.append(opened)

    def _read_function_call(self, item: JSONObject, path: str) -> None:
        sent, label = self._called(item, path)
        declared = self.tools.declared
        given = tool_input(
            item.get("arguments"),
            custom=sent in declared.custom,
            wrapped=sent in declared.wrapped,
        )
        self._say_call(item, label, {"name": sent, "input": given}, path)

    def _read_custom_call(self, item: JSONObject, path: str) -> None:
        sent, label = self._called(item, path)
        raw = item.get("input")
        given = {"input": raw} if isinstance(raw, str) else tool_input(raw, custom=True)
        self._say_call(item, label, {"name": sent, "input": given}, path)

    def _read_hosted_call(self, item: JSONObject, path: str) -> None:
        name, field = _HOSTED_CALLS[item["type"]]
        sent = self.tools.sent_name(name, None)
        self._say_call(item, name, {"name": sent, "input": tool_input(item.get(field))}, path)

    def _called(self, item: JSONObject, path: str) -> tuple[str, str]:
        """Sent and own name of the tool that was called; it may be missing in cut histories."""
        name = optional_string(item.get("name"), f"{path}.name") or ""
        space = optional_string(item.get("namespace"), f"{path}.namespace")
        return self.tools.sent_name(name, space), joined_name(name, space)

    def _say_call(self, item: JSONObject, label: str, block: JSONObject, path: str) -> None:
        call_id = optional_string(item.get("call_id"), f"{path}.call_id")
        call_id = call_id or optional_string(item.get("id"), f"{path}.id") or ""
        self._say([Call(call_id, label, block)])

    def _read_output(self, item: JSONObject, path: str) -> None:
        call_id = optional_string(item.get("call_id"), f"{path}.call_id")
        call_id = call_id or optional_string(item.get("id"), f"{path}.id") or ""
        blocks, mark = self._content.tool_result(item.get("output"), f"{path}.output")
        result: JSONObject = {"content": blocks} if blocks else {}
        mark = self._content.marks.of(item) or mark
        if mark is not None:
            result["cache_control"] = mark
        if item["type"] == "apply_patch_call_output" and item.get("status") == "failed":
            result["is_error"] = True
        name = item.get("name")
        self._on_other_side()
        self.history.add_result(call_id, result, name if isinstance(name, str) else "")

    def _read_reference(self, item: JSONObject, path: str) -> None:
        wanted = item.get("id")
        if not isinstance(wanted, str):
            inner = f"{path}.id"
            raise missing(inner) if wanted is None else wrong_type(inner, "a string", wanted)
        found = self._lookup(wanted)
        if found is None or item_kind(found, path) == "item_reference":
            raise invalid(
                f"{path}.id", "names no item that is stored here: send the item itself", "not_found"
            )
        self._item(found, path)

    def _read_tools(self, _item: JSONObject, _path: str) -> None:
        """Tools that are added on the way were declared with the others, before the first item."""

    _READERS = {  # noqa: RUF012 - declared as a class variable above
        "message": _read_message,
        "reasoning": _read_reasoning,
        "function_call": _read_function_call,
        "custom_tool_call": _read_custom_call,
        "local_shell_call": _read_hosted_call,
        "shell_call": _read_hosted_call,
        "apply_patch_call": _read_hosted_call,
        "function_call_output": _read_output,
        "custom_tool_call_output": _read_output,
        "local_shell_call_output": _read_output,
        "shell_call_output": _read_output,
        "apply_patch_call_output": _read_output,
        "item_reference": _read_reference,
        "additional_tools": _read_tools,
    }


def begins_round(items: list[JSON], index: int) -> bool:
    """True when the assistant surely says something from that item on, behind somebody else.

    Reasoning alone says nothing, and is left out where nothing follows.
    """
    if not _is_of_others(items[index - 1]):
        return False
    for item in items[index:]:
        kind = _kind(item)
        if kind != "reasoning":
            return kind in _CALLS or (kind == "message" and _says(item))
    return False


def _is_of_others(item: JSON) -> bool:
    kind = _kind(item)
    return kind in _OUTPUTS or (kind == "message" and item.get("role") == "user")


def _kind(item: JSON) -> str:
    """The type of an item that may be anything; "" when it has none."""
    kind = item.get("type", "message") if isinstance(item, dict) else None
    return kind if isinstance(kind, str) else ""


def _says(message: JSONObject) -> bool:
    """True for a message of the assistant that surely has a text in it."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    return message.get("role") == "assistant" and any(map(_is_said, parts))


def _is_said(part: JSON) -> bool:
    text = part.get("text") if isinstance(part, dict) and part.get("type") in TEXT_PARTS else None
    return isinstance(text, str) and not is_blank(text)


def item_kind(item: JSONObject, path: str) -> str:
    """The type of an item; messages and references may leave it out."""
    kind = item.get("type")
    if kind is None:
        return "item_reference" if "role" not in item and "id" in item else "message"
    if not isinstance(kind, str):
        raise wrong_type(f"{path}.type", "a string", kind)
    return kind


def added_tools(items: Sequence[JSON]) -> list[tuple[int, JSON]]:
    """The tools that `additional_tools` items bring, with the indices of the items."""
    return [
        (index, item.get("tools"))
        for index, item in enumerate(items)
        if isinstance(item, dict) and item.get("type") == "additional_tools"
    ]
