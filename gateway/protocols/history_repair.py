"""Builds a conversation the API accepts out of whatever history a client kept.

The API wants alternating turns, nothing empty, and every tool call answered in the very next user
message, results first. Clients send aborted calls, results twice, late, for unknown calls, empty
answers and system messages anywhere.

The history is cut into rounds: the assistant's messages and everything up to the assistant's next
one. A round is closed when the next one begins and never touched again, so what is sent for the
earlier messages of a conversation stays the same in every later request, byte for byte.
"""

from collections import deque

from gateway.protocols.messages_form import NO_ANSWER, text_block
from gateway.protocols.shared.tool_names import MAX_LENGTH, legal
from gateway.structs import Struct, field
from gateway.wire import JSONObject

CONVERSATION_START = "(conversation start)"
CONTINUE = "Continue."
NO_RESULT = "No result was recorded for this call."


class Call(Struct):
    """One tool call of the history: the client's id ("" when it sent none), names, the block."""

    client_id: str
    name: str
    block: JSONObject
    result: JSONObject | None = None


class _Round(Struct):
    """The assistant's messages since the last round, and what came after them.

    Calls are found by id and by name without a search: a round may hold thousands.
    """

    said: list[JSONObject] = field(default_factory=list)
    texts: int = 0
    """How many of the first blocks of `said` are texts that `add_assistant` put there."""
    calls: list[Call] = field(default_factory=list)
    after: list[JSONObject] = field(default_factory=list)
    system: list[JSONObject] = field(default_factory=list)
    answered: bool = False
    """Something that is not the assistant's has followed, be it empty."""
    by_id: dict[str, deque[Call]] = field(default_factory=dict)
    by_name: dict[str, list[Call]] = field(default_factory=dict)
    in_order: deque[Call] = field(default_factory=deque)

    def add(self, call: Call) -> None:
        """Takes a call of the assistant."""
        self.calls.append(call)
        self.in_order.append(call)
        if call.client_id in self.by_id:
            self.by_id[call.client_id].append(call)
        else:
            self.by_id[call.client_id] = deque((call,))
        self.by_name.setdefault(call.name, []).append(call)

    def waiting(self, client_id: str) -> Call | None:
        """The first unanswered call with the id, else the last one: the newer result wins.

        A result without an id belongs to the first call that waits for one.
        """
        calls = self.in_order if client_id == "" else self.by_id.get(client_id)
        while calls and calls[0].result is not None and (len(calls) > 1 or client_id == ""):
            calls.popleft()
        return calls[0] if calls else None

    def waiting_function(self, name: str) -> Call | None:
        """The last unanswered call of the name."""
        calls = self.by_name.get(name, [])
        while calls and calls[-1].result is not None:
            calls.pop()
        return calls[-1] if calls else None


class ClosedRounds(Struct, frozen=True):
    """What a history came to before an answer of the assistant. Nobody may change what is in it.

    `uses`: sent id -> the last suffix tried for it.
    """

    messages: list[JSONObject]
    uses: dict[str, int]
    names_by_id: dict[str, str]
    called: dict[str, None]


NO_ROUNDS = ClosedRounds([], {}, {}, {})
"""Before the first message."""


class History:
    """Takes a client's messages one by one; `finish` gives the repaired ones.

    Created per request and not thread-safe. Blocks handed over belong to it. `closed` are the
    rounds before the first message it is given, which has to be the assistant's.
    """

    def __init__(self, closed: ClosedRounds = NO_ROUNDS) -> None:
        self._messages: list[JSONObject] = list(closed.messages)
        self._round = _Round()
        self._uses = dict(closed.uses)
        self._names_by_id = dict(closed.names_by_id)
        self.called = dict(closed.called)
        """Sent names of all tools called, in order."""

    def close(self) -> ClosedRounds | None:
        """All rounds so far, now that the assistant says something; None when it goes on speaking.

        What it says has to be added next.
        """
        self._begin_saying()
        if self._round.said:
            return None
        return ClosedRounds(
            list(self._messages), dict(self._uses), dict(self._names_by_id), dict(self.called)
        )

    def add_user(self, blocks: list[JSONObject]) -> None:
        """A user message; no blocks when it was empty."""
        self._round.answered = True
        self._round.after += blocks

    def add_system(self, blocks: list[JSONObject]) -> None:
        """A system message in the middle: goes behind the user's part of this round."""
        self._round.answered = True
        self._round.system += blocks

    def add_assistant(self, texts: list[JSONObject], calls: list[Call]) -> None:
        """An assistant message: its text, then its calls; consecutive ones become one."""
        self._begin_saying()
        current = self._round
        current.said[current.texts : current.texts] = texts
        current.texts += len(texts)
        for call in calls:
            self._add_call(call)

    def add_said(self, blocks: list[JSONObject | Call]) -> None:
        """Blocks of the assistant in the order it said them, thinking included."""
        self._begin_saying()
        for block in blocks:
            if isinstance(block, Call):
                self._add_call(block)
            else:
                self._round.said.append(block)

    def _begin_saying(self) -> None:
        if self._round.answered:
            self._close_round()
            self._round = _Round()

    def _add_call(self, call: Call) -> None:
        sent_id = self._unique_id(call.client_id)
        call.block = {"type": "tool_use", "id": sent_id, **call.block}
        self._names_by_id[call.client_id] = call.name
        self.called[call.block["name"]] = None
        self._round.add(call)
        self._round.said.append(call.block)

    def _unique_id(self, client_id: str) -> str:
        """A legal id that no earlier call has; depends on earlier messages only."""
        base = legal(client_id) if client_id else f"call_{len(self._uses)}"
        unique = base
        while unique in self._uses:
            self._uses[base] += 1
            suffix = f"_{self._uses[base]}"
            unique = base[: MAX_LENGTH - len(suffix)] + suffix
        self._uses[unique] = 1
        return unique

    def add_result(self, client_id: str, result: JSONObject, name: str = "") -> None:
        """The result of the call with that id; `result` are the fields but `tool_use_id`.

        Without a matching call in this round it becomes text: the call is unknown, or its place
        was filled when its round was closed.
        """
        self._round.answered = True
        call = self._round.waiting(client_id)
        if call is not None:
            call.result = result
        else:
            self._add_orphan(name or self._names_by_id.get(client_id) or client_id, result)

    def add_function_result(self, name: str, result: JSONObject) -> None:
        """The result of a legacy function: of the last unanswered call of that name."""
        self._round.answered = True
        call = self._round.waiting_function(name)
        if call is not None:
            call.result = result
        else:
            self._add_orphan(name, result)

    def _add_orphan(self, label: str, result: JSONObject) -> None:
        content: list[JSONObject] = list(result.get("content") or [])
        head = f"[tool result for {label or 'an unknown call'}]"
        if content and content[0]["type"] == "text":
            first = text_block(f"{head} {content[0]['text']}")
            content[0] = first
        else:
            content.insert(0, text_block(head))
        if "cache_control" in result:
            content[-1]["cache_control"] = result["cache_control"]
        self._round.after += content

    def finish(self) -> list[JSONObject]:
        """The repaired messages; a text of the assistant at the very end is left as the last."""
        if self._round.calls and not self._round.answered:
            self._round.answered = True  # the calls must be answered even so
        self._close_round()
        if not self._messages:
            self._messages.append(_user([text_block(CONVERSATION_START)]))
        return self._messages

    def _close_round(self) -> None:
        """Takes the messages of the round, which is over."""
        closing = self._round
        said = closing.said
        if said:
            self._append_assistant(said)
        results = [_result(call) for call in closing.calls]
        blocks = results + closing.after
        if blocks:
            self._append_user(blocks)
        elif closing.answered and said:
            self._append_user([text_block(CONTINUE)])
        if closing.system:
            self._append_system(closing.system)

    def _append_assistant(self, blocks: list[JSONObject]) -> None:
        if not self._messages:
            self._messages.append(_user([text_block(CONVERSATION_START)]))
        self._messages.append({"role": "assistant", "content": blocks})

    def _append_user(self, blocks: list[JSONObject]) -> None:
        last = self._messages[-1] if self._messages else None
        if last is not None and last["role"] == "user":  # an empty answer stood between
            self._messages[-1] = _user([*last["content"], *blocks])
            return
        if last is not None and last["role"] == "system":  # only an assistant turn may follow it
            self._messages.append({"role": "assistant", "content": [text_block(NO_ANSWER)]})
        self._messages.append(_user(blocks))

    def _append_system(self, blocks: list[JSONObject]) -> None:
        if not self._messages:
            self._messages.append(_user([text_block(CONVERSATION_START)]))
        last = self._messages[-1]
        if last["role"] == "system":
            self._messages[-1] = {"role": "system", "content": [*last["content"], *blocks]}
        else:
            self._messages.append({"role": "system", "content": blocks})


def _user(blocks: list[JSONObject]) -> JSONObject:
    return {"role": "user", "content": blocks}


def _result(call: Call) -> JSONObject:
    found = call.result
    if found is None:
        return {
            "type": "tool_result",
            "tool_use_id": call.block["id"],
            "content": [text_block(NO_RESULT)],
            "is_error": True,
        }
    return {"type": "tool_result", "tool_use_id": call.block["id"], **found}
