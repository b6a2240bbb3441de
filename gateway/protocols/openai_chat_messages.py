"""The `messages` of a chat request as `system` and `messages` of the Messages form.

One pass; the translation of a message looks at nothing behind it.
"""

from gateway.errors import InvalidRequestError
from gateway.protocols.history_repair import NO_ROUNDS, Call, ClosedRounds, History
from gateway.protocols.messages_form import is_blank, text_block
from gateway.protocols.shared.cache_marks import is_marked
from gateway.protocols.shared.carried_thinking import carried_thinking
from gateway.protocols.shared.content import ContentReader
from gateway.protocols.shared.reading import (
    SYSTEM_ROLES,
    invalid,
    missing,
    optional_list,
    optional_string,
    wrong_type,
)
from gateway.protocols.shared.tool_arguments import tool_input
from gateway.protocols.shared.tools import DeclaredTools
from gateway.wire import JSON, JSONObject

MAX_MESSAGES = 100_000  # the API's limit


class MessageReader:
    """Reads the messages of one request. Created per request.

    `system` and `history` are what it fills, `tools` learns names that were not declared, `ignored`
    gets those of dropped fields. It goes on behind what was `closed` already.
    """

    def __init__(
        self,
        tools: DeclaredTools,
        content: ContentReader,
        ignored: list[str],
        closed: ClosedRounds = NO_ROUNDS,
    ) -> None:
        self.system: list[JSONObject] = []
        self.history = History(closed)
        self.tools = tools
        self._content = content
        self._ignored = ignored
        self._leading = True

    def read(self, messages: list[JSON], begin: int = 0, end: int | None = None) -> None:
        """Reads messages from `begin` on, up to before `end`.

        Raises InvalidRequestError with the path of the first bad value.
        """
        for index, message in enumerate(messages[begin:end], begin):
            path = f"messages[{index}]"
            if not isinstance(message, dict):
                raise wrong_type(path, "an object", message)
            role = message.get("role")
            if role in SYSTEM_ROLES:
                self._read_system(message, path)
                continue
            self._leading = False
            if role == "user":
                self._read_user(message, path)
            elif role == "assistant":
                self._read_assistant(message, path)
            elif role == "tool":
                self._read_tool(message, path)
            elif role == "function":
                self._read_function(message, path)
            else:
                raise _bad_role(role, f"{path}.role")
            if role != "function" and message.get("name"):
                self._ignored.append("messages.name")

    def _read_system(self, message: JSONObject, path: str) -> None:
        blocks = self._content.blocks(message.get("content"), f"{path}.content", text_only=True)
        self._content.marks.put(message, blocks)
        if self._leading:
            self.system += blocks
        elif blocks:
            self.history.add_system(blocks)

    def _read_user(self, message: JSONObject, path: str) -> None:
        content = message.get("content")
        if isinstance(content, list):
            blocks = self._user_parts(content, f"{path}.content")
        else:
            blocks = self._content.blocks(content, f"{path}.content")
        self._content.marks.put(message, blocks)
        self.history.add_user(blocks)

    def _user_parts(self, parts: list[JSON], path: str) -> list[JSONObject]:
        """Parts of a user message; tool results in Anthropic's form go to their calls."""
        blocks: list[JSONObject] = []
        for index, part in enumerate(parts):
            if isinstance(part, dict) and part.get("type") == "tool_result":
                self._read_result_block(part, f"{path}[{index}]")
            else:
                blocks += self._content.part(part, f"{path}[{index}]")
        return blocks

    def _read_result_block(self, part: JSONObject, path: str) -> None:
        client_id = optional_string(part.get("tool_use_id"), f"{path}.tool_use_id")
        result = self._result(part, path)
        if part.get("is_error") is True:
            result["is_error"] = True
        self.history.add_result(client_id or "", result)

    def _result(self, message: JSONObject, path: str) -> JSONObject:
        blocks, mark = self._content.tool_result(message.get("content"), f"{path}.content")
        result: JSONObject = {"content": blocks} if blocks else {}
        mark = self._content.marks.of(message) or mark
        if mark is not None:
            result["cache_control"] = mark
        return result

    def _read_tool(self, message: JSONObject, path: str) -> None:
        client_id, content = message.get("tool_call_id"), message.get("content")
        if isinstance(client_id, str) and isinstance(content, str) and not is_marked(message):
            # What nearly every one is, without the paths that only errors need.
            result: JSONObject = {} if is_blank(content) else {"content": [text_block(content)]}
            name = message.get("name")
            self.history.add_result(client_id, result, name if isinstance(name, str) else "")
            return
        client_id = optional_string(client_id, f"{path}.tool_call_id")
        if (block := _only_result(content)) is not None:
            block = {"tool_use_id": client_id, **block}
            self._read_result_block(block, f"{path}.content[0]")
            return
        name = message.get("name")
        label = name if isinstance(name, str) else ""
        self.history.add_result(client_id or "", self._result(message, path), label)

    def _read_function(self, message: JSONObject, path: str) -> None:
        name = optional_string(message.get("name"), f"{path}.name")
        self.history.add_function_result(name or "", self._result(message, path))

    def _read_assistant(self, message: JSONObject, path: str) -> None:
        content = message.get("content")
        texts: list[JSONObject] = []
        calls: list[Call] = []
        if isinstance(content, str):
            texts = [] if is_blank(content) else [text_block(content)]
        elif isinstance(content, list):
            for index, part in enumerate(content):
                self._assistant_part(part, f"{path}.content[{index}]", texts, calls)
        else:
            texts = self._content.blocks(content, f"{path}.content", text_only=True)
        refusal = message.get("refusal")
        if isinstance(refusal, str) and not texts:
            texts += self._content.blocks(refusal, f"{path}.refusal", text_only=True)
        self._read_calls(message, path, calls)
        if "cache_control" in message:
            self._content.marks.put(message, [*texts, *(call.block for call in calls)])
        if "reasoning_details" in message and (texts or calls):  # the API takes no thinking alone
            texts = carried_thinking(message.get("reasoning_details")) + texts
        self.history.add_assistant(texts, calls)

    def _assistant_part(
        self, part: JSON, path: str, texts: list[JSONObject], calls: list[Call]
    ) -> None:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "tool_use":
            call = self._call(part.get("id"), part.get("name"), part.get("input"), path)
            self._content.marks.put(part, [call.block])
            calls.append(call)
        else:
            texts += self._content.assistant_part(part, path)

    def _read_calls(self, message: JSONObject, path: str, calls: list[Call]) -> None:
        listed = message.get("tool_calls")
        if not isinstance(listed, list):
            listed = optional_list(listed, f"{path}.tool_calls")
        for index, call in enumerate(listed):
            made = self._plain_call(call)
            calls.append(made or self._tool_call(call, f"{path}.tool_calls[{index}]"))
        legacy = message.get("function_call")
        if legacy is None or listed:
            return
        if not isinstance(legacy, dict):
            raise wrong_type(f"{path}.function_call", "an object", legacy)
        inner = f"{path}.function_call"
        calls.append(self._call(None, legacy.get("name"), legacy.get("arguments"), inner))

    def _plain_call(self, call: JSON) -> Call | None:
        """A call that has nothing odd; None for any other, which is read with more care."""
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or "custom" in call or is_marked(call):
            return None
        client_id, name, arguments = call.get("id"), function.get("name"), function.get("arguments")
        if not (
            isinstance(client_id, str) and isinstance(name, str) and isinstance(arguments, str)
        ):
            return None
        sent = self.tools.names.sent(name)
        if sent in self.tools.custom or sent in self.tools.wrapped:
            return None
        return Call(client_id, name, {"name": sent, "input": tool_input(arguments)})

    def _tool_call(self, call: JSON, path: str) -> Call:
        if not isinstance(call, dict):
            raise wrong_type(path, "an object", call)
        custom = call.get("custom")
        if isinstance(custom, dict):
            inner = f"{path}.custom"
            made = self._call(call.get("id"), custom.get("name"), custom.get("input"), inner, True)
        else:
            function, inner = call.get("function"), f"{path}.function"
            if function is None and "name" in call:
                function, inner = call, path
            if not isinstance(function, dict):
                raise (
                    missing(inner) if function is None else wrong_type(inner, "an object", function)
                )
            arguments = function.get("arguments")
            made = self._call(call.get("id"), function.get("name"), arguments, inner)
        self._content.marks.put(call, [made.block])
        return made

    def _call(
        self, client_id: JSON, name: JSON, arguments: JSON, path: str, custom: bool = False
    ) -> Call:
        """A call of the history. Names may be missing in histories that were cut; types may not."""
        label = optional_string(name, f"{path}.name") or ""
        sent = self.tools.names.sent(label)
        call_input = tool_input(
            arguments,
            custom=custom or sent in self.tools.custom,
            wrapped=sent in self.tools.wrapped,
        )
        identity = optional_string(client_id, f"{path}.id") or ""
        return Call(identity, label, {"name": sent, "input": call_input})


def checked_messages(messages: JSON) -> list[JSON]:
    """The messages of a body; each is still anything. Raises InvalidRequestError."""
    if messages is None:
        raise missing("messages")
    if not isinstance(messages, list):
        raise wrong_type("messages", "an array", messages)
    if not messages:
        raise invalid("messages", "must not be empty")
    if len(messages) > MAX_MESSAGES:
        raise invalid("messages", f"has more than {MAX_MESSAGES} entries")
    return messages


def begins_round(messages: list[JSON], index: int) -> bool:
    """True for a message of the assistant behind one of somebody else."""
    return _is_answer(messages[index]) and not _is_answer(messages[index - 1])


def _is_answer(message: JSON) -> bool:
    return isinstance(message, dict) and message.get("role") == "assistant"


def _only_result(content: JSON) -> JSONObject | None:
    """Anthropic's result block alone in OpenAI's message, as Cursor writes it."""
    if not isinstance(content, list) or len(content) != 1 or not isinstance(content[0], dict):
        return None
    return content[0] if content[0].get("type") == "tool_result" else None


def _bad_role(role: JSON, param: str) -> InvalidRequestError:
    if role is None:
        return missing(param)
    if not isinstance(role, str):
        return wrong_type(param, "a string", role)
    return invalid(param, "must be system, developer, user, assistant, tool or function")
