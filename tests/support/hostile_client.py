"""A client of the chat API at its worst, drawn by chance from a seed."""

import copy
import random
from typing import Any

Json = dict[str, Any]

BOUND_MODELS = ("claude-sonnet-5-5", "claude-opus-5-5")
MODELS = (*BOUND_MODELS, "claude-haiku-4-5", "claude-opus-4-6", "auto")
HALF_CHARACTER = "\ud83d"


def _tool(name: str) -> Json:
    properties = {"path": {"type": "string"}, "command": {}}
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


TOOLS = [_tool(name) for name in ("read_file", "bash", "str_replace_editor", "edit_file")]


class HostileClient:
    """`body` is its next request, `script` what the upstream shall answer, `take` goes on behind
    the answer, `disturb` is what it does to its conversation in between.

    `now` is its time in seconds, `key` its own key for the conversation. `has_carried`: it has sent
    thinking of its own, unsealed.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 1_000.0 * seed
        self.model = self.random.choice(BOUND_MODELS)
        self.tools = self.random.choice([[], TOOLS, TOOLS[:2]])
        self.carries = self._chance(0.3)
        self.has_carried = False
        self.makes_ids = self._chance(0.2)
        self.key = f"session-{seed // 2}" if self._chance(0.3) else None
        self.marks = self._chance(0.3)
        self.system = [f"Rules of {seed}.", *(f"Rule {n}: be good" for n in range(60)), "Branch: a"]
        self.messages: list[Json] = [self.asked()]
        self._forks: list[list[Json]] = []
        self._made = 0
        self._disturbances = [
            *(self._edit, self._drop_newest, self._drop_oldest, self._summarise, self._fork),
            *(self._go_back, self._change_model, self._say_as_system, self._change_rule),
            *(self._change_tools, self._change_carrying, self._change_ids, self._pause),
        ]

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def text(self) -> str:
        """Words of a user or a tool: code, listings, and what reads like the gateway's own."""
        name = self.random.choice("ab")
        lines = [f"{name} line {number} of a file" for number in range(self.random.randrange(200))]
        numbered = [f"{number:>6}\t{line}" for number, line in enumerate(lines, 1)]
        file = "\n".join(lines)
        block = "\n".join(["<user_info>", *lines[:20], "</user_info>"])
        return self.random.choice(
            [
                *[f"{file}\n{self.random.randrange(1000)}"] * 4,
                f"{file}\n",
                "\n".join(numbered) or "x",
                f"[ctx {self.random.randrange(4)}]\n{file}",
                f"«lines 1-9 = lines 1-9 of [ctx 1]»\n{file}",
                "«identical to [ctx 1]»",
                f"{block}\nGo on\n{block}\nnow",
                "\r\n".join([*lines, HALF_CHARACTER]),
                f"```python\ndef f(): ...\n```\nError: number {self.random.random()} failed",
            ]
        )

    def asked(self) -> Json:
        """A message of the user."""
        if self._chance(0.7):
            return {"role": "user", "content": self.text()}
        part: Json = {"type": "text", "text": self.text()}
        if self._chance(0.5):
            part["cache_control"] = self._mark()
        return {"role": "user", "content": [part, {"type": "text", "text": self.text()}]}

    def _mark(self) -> Json:
        return {"type": "ephemeral", "ttl": self.random.choice(["5m", "1h"])}

    def body(self) -> Json:
        """The request as it stands."""
        system = [*self.system]
        if self._chance(0.5):
            system.insert(3, f"Current time: 2026-11-25T02:{self.random.randrange(10, 60)}:00Z")
        if self._chance(0.1):
            system[-1] = f"Branch: {self.random.randrange(3)}"
        content: Any = "\n".join(system)
        if self.marks:
            content = [{"type": "text", "text": content, "cache_control": self._mark()}]
        messages = [{"role": "system", "content": content}, *self.messages]
        body: Json = {
            "model": self.model,
            "messages": self._renamed(messages) if self.makes_ids else messages,
        }
        if self.tools:
            body["tools"] = self.random.sample(self.tools, len(self.tools))
        return body

    def _renamed(self, messages: list[Json]) -> list[Json]:
        """The messages with other ids of their calls than ever before."""
        self._made += 1
        messages = copy.deepcopy(messages)
        for message in messages:
            for call in message.get("tool_calls") or ():
                call["id"] = f"r{self._made}_{call['id']}"[-60:]
            if "tool_call_id" in message:
                message["tool_call_id"] = f"r{self._made}_{message['tool_call_id']}"[-60:]
        return messages

    def script(self) -> Json:
        """What the upstream is going to answer."""
        blocks: list[Json] = [{"type": "thinking", "thinking": f"Hm {self.random.random()}"}]
        calls = self.random.choice([0, 1, 1, 2]) if self.tools else 0
        if not calls or self._chance(0.5):
            words = self.text().replace(HALF_CHARACTER, "") or "x"
            blocks.append({"type": "text", "text": self.random.choice(["Done.", words])})
        return {"blocks": [*blocks, *(self._call() for _ in range(calls))]}

    def _call(self) -> Json:
        name = self.random.choice(self.tools)["function"]["name"]
        command: Any = self.random.choice(["view", ["view"], "cat a.py", {"a": 1}, None, "make"])
        return {"type": "tool_use", "name": name, "input": {"path": "a.py", "command": command}}

    def take(self, said: Json) -> None:
        """Goes on behind an answer, of which it keeps what it knows."""
        kept = ["role", "content", "tool_calls"]
        if self.carries:
            kept.append("reasoning_details")
            self.has_carried = True
        self.messages.append({name: said[name] for name in kept if said.get(name) is not None})
        calls = said.get("tool_calls") or []
        self.messages += [
            {"role": "tool", "tool_call_id": call["id"], "content": self.text()} for call in calls
        ]
        if not calls or self._chance(0.1):
            self.messages.append(self.asked())

    def disturb(self) -> None:
        """Every other time, one thing that a client may do between two requests."""
        self.now += 5
        if self._chance(0.5):
            self.random.choice(self._disturbances)()

    def _edit(self) -> None:
        message = self.random.choice(self.messages)
        if message["role"] in ("user", "tool"):
            message["content"] = self.text()

    def _drop_newest(self) -> None:
        del self.messages[self.random.randrange(1, len(self.messages) + 1) :]

    def _drop_oldest(self) -> None:
        del self.messages[: self.random.randrange(len(self.messages))]

    def _summarise(self) -> None:
        self.messages = [{"role": "user", "content": f"Summary: {self.text()}"}]

    def _fork(self) -> None:
        self._forks.append(copy.deepcopy(self.messages))

    def _go_back(self) -> None:
        if self._forks:
            self.messages = copy.deepcopy(self.random.choice(self._forks))

    def _change_model(self) -> None:
        self.model = self.random.choice(MODELS)

    def _say_as_system(self) -> None:
        self.messages.append({"role": "system", "content": self.text()})

    def _change_rule(self) -> None:
        self.system[self.random.randrange(3)] = f"Rule: {self.random.random()}"

    def _change_tools(self) -> None:
        self.tools = self.random.choice([[], TOOLS, TOOLS[1:]])

    def _change_carrying(self) -> None:
        self.carries = not self.carries

    def _change_ids(self) -> None:
        self.makes_ids = not self.makes_ids

    def _pause(self) -> None:
        self.now += self.random.choice([400.0, 4_000.0])
