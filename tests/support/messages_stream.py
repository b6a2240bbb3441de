"""Bytes of Messages streams, the way through the reply side, and readers of what comes out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai

from gateway import wire
from gateway.protocols.openai_chat_answer import answer
from gateway.protocols.openai_chat_stream import ChatStream
from gateway.protocols.shared.assemble import MessageAssembler
from gateway.protocols.shared.draft import ReplyPlan
from gateway.protocols.shared.sse import SSEFramer
from gateway.wire import JSONObject

CREATED = 1_764_000_000
PLAN = ReplyPlan("gpt-5", stream=True)
PLAN_WITH_USAGE = ReplyPlan("gpt-5", stream=True, include_usage=True)
MODEL = "claude-sonnet-5-5"


def event(name: str, **fields: Any) -> bytes:
    """One event as the API writes it."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), wire.dumps({"type": name, **fields}))


def start(**usage: Any) -> bytes:
    """message_start; usage as given, else 10 uncached input tokens."""
    message: JSONObject = {
        "id": "msg_01ABC",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1, **usage},
    }
    return event("message_start", message=message)


def delta(index: int, kind: str, **fields: Any) -> bytes:
    """A content_block_delta."""
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def block(index: int, content: JSONObject, *deltas: bytes) -> bytes:
    """A whole content block."""
    opening = event("content_block_start", index=index, content_block=content)
    return opening + b"".join(deltas) + event("content_block_stop", index=index)


def text(index: int, *texts: str) -> bytes:
    """A text block."""
    deltas = [delta(index, "text_delta", text=each) for each in texts]
    return block(index, {"type": "text", "text": ""}, *deltas)


def thinking(index: int, *texts: str, signature: str = "c2ln") -> bytes:
    """A thinking block; without texts it is the form with omitted display."""
    deltas = [delta(index, "thinking_delta", thinking=each) for each in texts]
    if signature:
        deltas.append(delta(index, "signature_delta", signature=signature))
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, *deltas)


def tool(index: int, name: str, *parts: str, call_id: str = "") -> bytes:
    """A tool_use block whose arguments come in these parts."""
    deltas = [delta(index, "input_json_delta", partial_json=part) for part in ("", *parts)]
    content = {"type": "tool_use", "id": call_id or f"toolu_{index}", "name": name, "input": {}}
    return block(index, content, *deltas)


def end(stop_reason: str | None = "end_turn", *, stop_details: Any = None, **usage: Any) -> bytes:
    """message_delta and message_stop."""
    ending = {"stop_reason": stop_reason, "stop_sequence": None, "stop_details": stop_details}
    return event("message_delta", delta=ending, usage={"output_tokens": 20, **usage}) + event(
        "message_stop"
    )


def translate(
    stream: bytes, plan: ReplyPlan = PLAN, read_size: int | None = None
) -> tuple[bytes, ChatStream]:
    """What a client gets for these bytes when they arrive in reads of `read_size`."""
    framer, translator = SSEFramer(), ChatStream(plan, CREATED, "chatcmpl-fallback")
    size = read_size or max(1, len(stream))
    out = b"".join(
        translator.feed(framer.feed(stream[at : at + size])) for at in range(0, len(stream), size)
    )
    return out, translator


def chunks(out: bytes) -> list[JSONObject]:
    """The chunks among the data lines, without [DONE]."""
    lines = [line for line in out.split(b"\n") if line.startswith(b"data: ")]
    return [wire.loads(line[6:]) for line in lines if line != b"data: [DONE]"]


def deltas(out: bytes) -> list[JSONObject]:
    """The deltas of all chunks that have a choice."""
    return [chunk["choices"][0]["delta"] for chunk in chunks(out) if chunk.get("choices")]


def finish_reasons(out: bytes) -> list[str]:
    """Every finish_reason that is not null."""
    reasons = [
        chunk["choices"][0]["finish_reason"] for chunk in chunks(out) if chunk.get("choices")
    ]
    return [reason for reason in reasons if reason is not None]


def content(out: bytes) -> str:
    """All text of the answer."""
    return "".join(delta.get("content") or "" for delta in deltas(out))


def arguments(out: bytes) -> dict[int, str]:
    """The arguments of each tool call, joined."""
    joined: dict[int, str] = {}
    for each in deltas(out):
        for call in each.get("tool_calls") or ():
            joined[call["index"]] = joined.get(call["index"], "") + call["function"]["arguments"]
    return joined


def assemble(stream: bytes) -> MessageAssembler:
    """The stream collected into a Message."""
    assembler = MessageAssembler()
    assembler.feed(SSEFramer().feed(stream))
    return assembler


def whole_answer(stream: bytes, plan: ReplyPlan = PLAN) -> JSONObject:
    """The chat.completion for a stream."""
    assembler = assemble(stream)
    assert assembler.failure is None
    return answer(assembler.message, assembler.meter, plan, CREATED)


@asynccontextmanager
async def openai_sdk(
    body: bytes, *, status: int = 200, read_size: int = 0
) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client, answered with `body`, in reads of `read_size` bytes when given."""

    async def parts() -> AsyncIterator[bytes]:
        for at in range(0, len(body), read_size):
            yield body[at : at + read_size]

    def respond(request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream" if status == 200 else "application/json"}
        return httpx2.Response(status, headers=headers, content=parts() if read_size else body)

    transport = httpx2.MockTransport(respond)
    async with (
        httpx2.AsyncClient(transport=transport) as http,
        openai.AsyncOpenAI(
            api_key="key", base_url="http://gateway/v1", http_client=http, max_retries=0
        ) as client,
    ):
        yield client
