"""The way through the reply side of the Responses API, and readers of what comes out."""

from typing import Any

from gateway import wire
from gateway.protocols.openai_responses import Recalled, Translated, translate
from gateway.protocols.openai_responses_answer import Answer, answer
from gateway.protocols.openai_responses_plan import AnswerFrame, ResponseEnvelope
from gateway.protocols.openai_responses_stream import ResponsesStream
from gateway.protocols.shared.assemble import MessageAssembler
from gateway.protocols.shared.sealed_thinking import ThinkingSeal
from gateway.protocols.shared.sse import SSEFramer
from gateway.security.sealing import Sealer
from gateway.wire import JSONObject

CREATED = 1_764_000_000
RESPONSE_ID = "resp_0a1b"
SEAL = ThinkingSeal(Sealer([b"a key that is used in tests only"]), b"reasoning:default")


def request(**fields: Any) -> JSONObject:
    """A request with these fields on top of the least there can be."""
    return {"model": "gpt-5", "input": "hi", **fields}


def translated(recalled: Recalled | None = None, **fields: Any) -> Translated:
    """The translation of `request(**fields)`."""
    return translate(request(**fields), recalled, SEAL)


def make_frame(
    response_id: str = RESPONSE_ID, seal: ThinkingSeal | None = SEAL, **fields: Any
) -> AnswerFrame:
    """What answers `request(**fields)`, streaming unless it says otherwise."""
    made = translate(request(**{"stream": True, **fields}), None, SEAL)
    envelope = ResponseEnvelope(response_id, lambda: CREATED, seal)
    return AnswerFrame(made.draft.reply, made.plan, envelope)


FRAME = make_frame(reasoning={"summary": "auto"})


def stream_out(
    upstream: bytes, frame: AnswerFrame = FRAME, read_size: int | None = None
) -> tuple[bytes, ResponsesStream]:
    """What a client gets for these bytes when they arrive in reads of `read_size`."""
    framer, translator = SSEFramer(), ResponsesStream(frame)
    size = read_size or max(1, len(upstream))
    out = b"".join(
        translator.feed(framer.feed(upstream[at : at + size]))
        for at in range(0, len(upstream), size)
    )
    return out, translator


def whole(upstream: bytes, frame: AnswerFrame = FRAME) -> Answer:
    """The answer in one piece."""
    assembler = MessageAssembler()
    assembler.feed(SSEFramer().feed(upstream))
    assert assembler.failure is None
    return answer(assembler.message, assembler.meter, frame, CREATED)


def events(out: bytes) -> list[JSONObject]:
    """The events, whose names must be their types, numbered without a gap."""
    found = []
    for name, data in SSEFramer().feed(out):
        value = wire.loads(data)
        assert name == value["type"]
        found.append(value)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def kinds(out: bytes) -> list[str]:
    """The types of the events, without "response."."""
    return [event["type"].removeprefix("response.") for event in events(out)]


def joined_deltas(out: bytes) -> dict[tuple[str, str], str]:
    """All deltas joined, by the kind of their event and their item."""
    joined: dict[tuple[str, str], str] = {}
    for event in events(out):
        if "delta" in event:
            key = (event["type"], event["item_id"])
            joined[key] = joined.get(key, "") + event["delta"]
    return joined


def final(out: bytes) -> JSONObject:
    """The Response of the last event."""
    response: JSONObject = events(out)[-1]["response"]
    return response
