"""Claude's rule for thinking blocks, written down a second time: who may read which block where."""

import hashlib
from dataclasses import dataclass, field

from gateway import wire
from gateway.catalog.models import Model
from gateway.wire import JSONObject

THINKING = ("thinking", "redacted_thinking")


def events_of(content: list[JSONObject], stop_reason: str = "end_turn") -> list[tuple[str, bytes]]:
    """The stream of an answer; calls have their arguments as text in `raw`."""
    events: list[JSONObject] = [{"type": "message_start", "message": {}}]
    for index, block in enumerate(content):
        start, deltas = _block(block)
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": stop_reason}})
    events.append({"type": "message_stop"})
    return [(event["type"], wire.dumps(event)) for event in events]


def _block(block: JSONObject) -> tuple[JSONObject, list[JSONObject]]:
    kind = block["type"]
    if kind == "text":
        return {"type": kind, "text": ""}, [{"type": "text_delta", "text": block["text"]}]
    if kind == "thinking":
        return {"type": kind, "thinking": "", "signature": ""}, [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    if kind == "tool_use":
        raw = block["raw"]
        start = {"type": kind, "id": block["id"], "name": block["name"], "input": {}}
        halves = (raw[: len(raw) // 2], raw[len(raw) // 2 :])
        return start, [{"type": "input_json_delta", "partial_json": half} for half in halves]
    return block, []


@dataclass
class Api:
    """Signs thinking and says what is wrong with thinking that is sent back."""

    made: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def think(self, body: JSONObject, before: list[JSONObject], *, redacted: bool) -> JSONObject:
        """A thinking block of the answer to `body`, behind the answer's blocks `before`."""
        name = f"signature-{len(self.made)}"
        kind = "redacted_thinking" if redacted else "thinking"
        text = "" if redacted else f"thought {len(self.made)}"
        stands = [*body["messages"], {"role": "assistant", "content": before}]
        self.made[name] = (body["model"], _digest(body, stands), text)
        if redacted:
            return {"type": kind, "data": name}
        return {"type": kind, "thinking": text, "signature": name}

    def faults(self, body: JSONObject, model: Model) -> list[str]:
        """What the API would refuse in the thinking of `body`."""
        found: list[str] = []
        for index, message in enumerate(body["messages"]):
            if message["role"] != "assistant":
                continue
            for position, block in enumerate(message["content"]):
                if block["type"] not in THINKING:
                    continue
                name = block.get("signature") or block.get("data")
                made_by, digest, text = self.made[name]
                before = [
                    *body["messages"][:index],
                    {"role": "assistant", "content": message["content"][:position]},
                ]
                if made_by != model.id:
                    found.append(f"{name} is another model's")
                elif block.get("thinking", "") != text:
                    found.append(f"{name} was changed")
                elif model.preserved_thinking and digest != _digest(body, before):
                    found.append(f"{name} stands in another conversation")
        return found

    @staticmethod
    def thinking_in(body: JSONObject) -> list[str]:
        """The names of all thinking blocks of a body."""
        return [
            block.get("signature") or block["data"]
            for message in body["messages"]
            if message["role"] == "assistant"
            for block in message["content"]
            if block["type"] in THINKING
        ]


def _digest(body: JSONObject, messages: list[JSONObject]) -> str:
    flat = [
        [message["role"], _argument_text(block)]
        for message in messages
        for block in message["content"]
    ]
    whole = [body.get("system"), body.get("tools"), flat]
    return hashlib.sha256(wire.dumps(whole)).hexdigest()


def _argument_text(block: JSONObject) -> JSONObject:
    """The block as the API reads it: arguments by value, no cache marks."""
    read = {key: value for key, value in block.items() if key not in ("cache_control", "raw")}
    if "raw" in block:
        read["input"] = wire.loads(block["raw"])
    return {key: wire.loads(wire.dumps(value)) for key, value in sorted(read.items())}
