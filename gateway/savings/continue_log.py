"""Continue's logs as sessions.

`~/.continue/dev_data/*/chatInteraction.jsonl` has a line for each request: `timestamp`,
`sessionId`, `prompt` (all messages as text, each under a line with its role) and `completion`.
`~/.continue/sessions/<id>.json` has the `history` of a conversation: `message`, the `contextItems`
of a user's message, `toolCallStates` with what tools gave back, and of some versions `promptLogs`,
the requests as they were sent. It has no times.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from gateway.savings.neutral_format import Line
from gateway.savings.session import MAX_TOKENS, Reading, RecordedRequest, Session
from gateway.wire import JSON, JSONObject

KIND = "continue"

_ROLE_LINE = re.compile(r"(?:\A|(?<=\n\n))<(system|user|assistant|tool|thinking)>\n")
_STEP_SECONDS = 60.0
_NO_TIMES = f"the log has no times: {_STEP_SECONDS:.0f} s between requests were assumed"
_OPEN_SCHEMA: JSONObject = {"type": "object", "properties": {}, "additionalProperties": True}


def is_interactions(lines: list[Line]) -> bool:
    """True for lines of `chatInteraction.jsonl`."""
    return any(
        isinstance(line.get("prompt"), str)
        and isinstance(line.get("completion"), str)
        and "sessionId" in line
        for _, line in lines[:50]
    )


def read_interactions(lines: Iterable[Line], reading: Reading) -> None:
    """Adds the conversations on `lines` to `reading`, and its problems."""
    by_session: dict[str, list[JSONObject]] = {}
    for number, line in lines:
        try:
            entry = {
                "seconds": datetime.fromisoformat(line["timestamp"].replace("Z", "+00:00")),
                "messages": list(_logged_messages(line["prompt"])),
                "completion": str(line["completion"]),
                "tools": list(line.get("tools") or []),
            }
        except (KeyError, TypeError, ValueError, AttributeError):
            reading.problem("cannot be read as a request of Continue", number)
            continue
        if entry["messages"]:
            by_session.setdefault(str(line.get("sessionId")), []).append(entry)
    for name, entries in by_session.items():
        begin = entries[0]["seconds"]
        requests = [
            RecordedRequest(
                max(0.0, (entry["seconds"] - begin).total_seconds()),
                _body(entry["messages"], entry["tools"]),
                {"role": "assistant", "content": entry["completion"]},
            )
            for entry in entries
        ]
        reading.sessions.append(Session(name, KIND, "Continue", requests))


def is_session(value: JSON) -> bool:
    """True for the content of a session file."""
    return isinstance(value, dict) and isinstance(value.get("history"), list)


def is_index(value: JSON) -> bool:
    """True for `sessions.json`, which lists sessions and holds none."""
    return isinstance(value, list) and all(
        isinstance(each, dict) and ("sessionId" in each or "session_id" in each) for each in value
    )


def read_session(value: JSONObject, reading: Reading) -> None:
    """Adds the conversation of a session file to `reading`, and its problems."""
    history = _History()
    for number, item in enumerate(value["history"], 1):
        try:
            history.take(item)
        except (KeyError, TypeError, ValueError, AttributeError):
            reading.problem(f"item {number} of the history cannot be read")
    name = str(value.get("sessionId") or reading.path.stem)
    notes = [] if history.times_known else [_NO_TIMES]
    reading.sessions.append(Session(name, KIND, "Continue", history.finished(), notes))


class _History:
    """The requests of a session file while its history is read."""

    def __init__(self) -> None:
        self.times_known = False
        self._messages: list[JSONObject] = []
        self._requests: list[tuple[float, list[JSONObject], JSONObject]] = []
        self._tools: dict[str, None] = {}
        self._awaited: dict[str, JSONObject] = {}
        self._begin: float | None = None

    def take(self, item: JSONObject) -> None:
        """Takes the next item of the history."""
        message = item["message"]
        role = message["role"]
        if role == "assistant":
            self._answer(item, message)
        elif role == "tool":
            self._awaited.pop(message["toolCallId"], None)
            text = _text(message.get("content"))
            result = {"role": "tool", "tool_call_id": message["toolCallId"], "content": text}
            self._messages.append(result)
        elif role in ("user", "system"):
            self._give_back()
            self._messages.append({"role": role, "content": _with_context(item, message)})

    def _answer(self, item: JSONObject, message: JSONObject) -> None:
        self._give_back()
        answer: JSONObject = {"role": "assistant", "content": _text(message.get("content")) or None}
        calls = [_call(call) for call in message.get("toolCalls") or []]
        if calls:
            answer["tool_calls"] = calls
            self._tools |= dict.fromkeys(call["function"]["name"] for call in calls)
        seconds = self._seconds(item)
        logged = [log for log in item.get("promptLogs") or [] if isinstance(log.get("prompt"), str)]
        said = list(_logged_messages(logged[-1]["prompt"])) if logged else list(self._messages)
        if said:
            self._requests.append((seconds, said, answer))
        self._messages.append(answer)
        states = item.get("toolCallStates") or [item.get("toolCallState")]
        for state in states:
            if state:
                text = "\n\n".join(_text(each.get("content")) for each in state.get("output") or [])
                result = {"role": "tool", "tool_call_id": state["toolCallId"], "content": text}
                self._awaited[state["toolCallId"]] = result

    def _give_back(self) -> None:
        """What tools gave stands with the call where it is no message of its own."""
        self._messages += self._awaited.values()
        self._awaited = {}

    def _seconds(self, item: JSONObject) -> float:
        started = (item.get("reasoning") or {}).get("startAt")
        before = self._requests[-1][0] if self._requests else None
        if isinstance(started, (int, float)):
            self._begin = started / 1000 if self._begin is None else self._begin
            self.times_known = True
            return max(before or 0.0, started / 1000 - self._begin)
        return 0.0 if before is None else before + _STEP_SECONDS

    def finished(self) -> list[RecordedRequest]:
        """The requests; the tools that were ever called stand in each."""
        tools = sorted(self._tools)
        return [
            RecordedRequest(seconds, _body(messages, tools), answer)
            for seconds, messages, answer in self._requests
        ]


def _logged_messages(prompt: str) -> Iterator[JSONObject]:
    """The messages of a prompt that was logged as text. Thinking is not sent to others."""
    places = list(_ROLE_LINE.finditer(prompt))
    if not places and prompt.strip():
        yield {"role": "user", "content": prompt}
    ends = [place.start() for place in places[1:]] + [len(prompt)]
    for place, end in zip(places, ends, strict=True):
        text = prompt[place.end() : end].removesuffix("\n\n")
        role = place[1]
        if role == "thinking" or not text.strip():
            continue
        # The text of a tool's result comes without the id of its call: it is said to the model.
        yield {"role": "user" if role == "tool" else role, "content": text}


def _body(messages: list[JSONObject], tools: list[JSON]) -> JSONObject:
    body: JSONObject = {"messages": messages, "max_tokens": MAX_TOKENS}
    if tools:
        body["tools"] = [
            {"type": "function", "function": {"name": str(name), "parameters": _OPEN_SCHEMA}}
            for name in tools
        ]
    return body


def _with_context(item: JSONObject, message: JSONObject) -> str:
    """A message with the files and snippets that were attached to it in front."""
    parts = [
        f"```{each.get('description') or each.get('name') or ''}\n{each['content']}\n```"
        for each in item.get("contextItems") or []
        if each.get("content")
    ]
    return "\n\n".join([*parts, _text(message.get("content"))])


def _text(content: JSON) -> str:
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _call(call: JSONObject) -> JSONObject:
    function = call["function"]
    named = {"name": function["name"], "arguments": function.get("arguments") or "{}"}
    return {"id": call["id"], "type": "function", "function": named}
