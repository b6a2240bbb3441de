"""A conversation without servers: client, restoring, and the API's rule, all in one process."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway import wire
from gateway.catalog.models import Model, load_catalog
from gateway.protocols.messages_form import text_block, with_instruction
from gateway.reduction.texts import read_texts, write_texts
from gateway.turns.capture import TurnCapture
from gateway.turns.conversation import kept_turn
from gateway.turns.history import read_history
from gateway.turns.restore import restore
from gateway.turns.sending import Sending, prepare
from gateway.turns.turn import Turn, dump_turn, load_turn
from gateway.wire import JSONObject
from tests.support.bound_thinking import THINKING, Api, events_of

CATALOG = load_catalog()
TOOLS: list[JSONObject] = [{"name": "read", "input_schema": {"type": "object"}}]


def model_named(name: str) -> Model:
    model = CATALOG.find(name)
    assert model is not None
    return model


@dataclass
class PureSession:
    """`messages` are what the client's history says, in the Messages form.

    `rewrite` is a pass over texts: it gets each with the index of its message.
    """

    model: str = "claude-sonnet-5-5"
    system: str = "You are an agent."
    messages: list[JSONObject] = field(default_factory=list)
    stored: dict[str, Turn] = field(default_factory=dict)
    api: Api = field(default_factory=Api)
    keys: list[str] = field(default_factory=list)
    carries: bool = False
    seals: dict[str, bytes] | None = None
    bodies: list[JSONObject] = field(default_factory=list)
    sendings: list[Sending] = field(default_factory=list)
    rewrite: Callable[[str, int], str] | None = None
    calls: int = 0

    def user(self, text: str) -> None:
        self.messages.append({"role": "user", "content": [text_block(text)]})

    def results(self, text: str = "contents") -> None:
        ids = [b["id"] for b in self.messages[-1]["content"] if b["type"] == "tool_use"]
        results = [
            {"type": "tool_result", "tool_use_id": each, "content": [text_block(text)]}
            for each in ids
        ]
        self.messages.append({"role": "user", "content": results})

    def send(self, instruction: str = "") -> JSONObject:
        """The body of the next request."""
        draft: JSONObject = {
            "system": [text_block(self.system)],
            "tools": TOOLS,
            "messages": copy.deepcopy(self.messages),
        }
        model = model_named(self.model)
        restored = restore(read_history(draft, self.seals), self.stored, model)
        body: JSONObject = {"model": self.model, **draft, "messages": restored.messages}
        rewritten = None
        if self.rewrite is not None:
            texts = read_texts(body, restored.added_blocks())
            for text in texts:
                text.value = self.rewrite(text.value, text.message)
            body = write_texts(body, texts)
            rewritten = body["messages"]
        if instruction:
            body = with_instruction(body, instruction)
        sending = prepare(restored, body, model, rewritten)
        self.sendings.append(sending)
        self.bodies.append(sending.body)
        return sending.body

    def answer(self, shape: str, *, store: bool = True) -> None:
        """An answer of blocks by letter: t(hinking), r(edacted), x (text), c(all)."""
        sending = self.sendings[-1]
        content: list[JSONObject] = []
        for letter in shape:
            content.append(self._block(letter, sending.body, content))
        capture = TurnCapture()
        capture.feed(events_of(content))
        answer = capture.answer()
        assert answer is not None
        if self.seals is not None:
            for block in content:
                if block["type"] in THINKING:
                    self.seals[block.get("signature") or block["data"]] = sending.prefix
        key, turn = kept_turn(sending, answer, 1)
        if store:
            read = load_turn(dump_turn(turn))
            assert read is not None
            self.stored[key] = read
        self.keys.append(key)
        self.messages.append({"role": "assistant", "content": self._seen(answer.seen_content)})

    def _block(self, letter: str, body: JSONObject, before: list[JSONObject]) -> JSONObject:
        if letter in "tr":
            return self.api.think(body, before, redacted=letter == "r")
        self.calls += 1
        if letter == "x":
            return text_block(f"words {self.calls % 3}")  # models repeat themselves
        raw = f'{{"path": "{self.calls}.py", "n": 1.0, "deep": {{"b": 1, "a": [1e2]}}}}'
        return {"type": "tool_use", "id": f"toolu_{self.calls}", "name": "read", "raw": raw}

    def _seen(self, content: list[JSONObject]) -> list[JSONObject]:
        """What a client of OpenAI's protocol keeps: one text, then calls."""
        text = "\n\n".join(block["text"] for block in content if block["type"] == "text")
        calls = [block for block in content if block["type"] == "tool_use"]
        carried = [b for b in content if b["type"] in THINKING] if self.carries else []
        kept = [*carried, *([text_block(text)] if text else []), *calls]
        return list(wire.loads(wire.dumps(kept)))

    def faults(self) -> list[str]:
        return self.api.faults(self.bodies[-1], model_named(self.model))

    def thinking(self) -> list[str]:
        return Api.thinking_in(self.bodies[-1])

    def turn(self, shape: str, text: str = "next", instruction: str = "") -> None:
        """One exchange: results when calls wait, else the text; then an answer."""
        waits = self.messages and any(
            block["type"] == "tool_use" for block in self.messages[-1]["content"]
        )
        if waits:
            self.results()
        else:
            self.user(text)
        self.send(instruction)
        assert self.faults() == []
        self.answer(shape)
