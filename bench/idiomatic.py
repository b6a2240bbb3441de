"""For scale: the proxy most people would write, with FastAPI, Pydantic and the official SDKs.

It has none of the gateway's features: no keys, limits, usage, metrics or repair of requests.
`python -m bench.idiomatic --upstream-port N` prints its port on standard output.
"""

import argparse
import socket
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import uvicorn
import uvloop
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, ConfigDict

from bench.processes import LOOPBACK


class Message(BaseModel):
    """A message of the conversation."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str | list[dict[str, Any]] | None = None


class ChatRequest(BaseModel):
    """The part of a chat request this proxy understands."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[Message]
    stream: bool = False
    max_tokens: int = 4096
    tools: list[dict[str, Any]] = []


def create_app(upstream_port: int) -> FastAPI:
    """The proxy in front of the server on that port."""
    app = FastAPI()
    client = anthropic.AsyncAnthropic(
        api_key="bench", base_url=f"http://{LOOPBACK}:{upstream_port}", max_retries=0
    )

    async def chat_completions(request: ChatRequest) -> Any:
        if request.stream:
            return StreamingResponse(_chunks(client, request), media_type="text/event-stream")
        message = await client.messages.create(**_messages_form(request))
        return _completion(request, message)

    app.post("/v1/chat/completions", response_model=None)(chat_completions)
    return app


def _messages_form(request: ChatRequest) -> dict[str, Any]:
    system = "\n".join(str(one.content) for one in request.messages if one.role == "system")
    return {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "system": system,
        "messages": [_message(one) for one in request.messages if one.role != "system"],
        "tools": [
            {
                "name": tool["function"]["name"],
                "description": tool["function"].get("description", ""),
                "input_schema": tool["function"]["parameters"],
            }
            for tool in request.tools
        ],
    }


def _message(message: Message) -> dict[str, Any]:
    if message.role != "tool":
        return {"role": message.role, "content": message.content or ""}
    extra = message.model_extra or {}
    block = {
        "type": "tool_result",
        "tool_use_id": extra["tool_call_id"],
        "content": message.content,
    }
    return {"role": "user", "content": [block]}


def _completion(request: ChatRequest, message: anthropic.types.Message) -> ChatCompletion:
    text = "".join(block.text for block in message.content if block.type == "text")
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
    }
    return ChatCompletion.model_validate(
        {
            "id": message.id,
            "object": "chat.completion",
            "created": int(time.time()),
            "model": request.model,
            "choices": [choice],
            "usage": {
                "prompt_tokens": message.usage.input_tokens,
                "completion_tokens": message.usage.output_tokens,
                "total_tokens": message.usage.input_tokens + message.usage.output_tokens,
            },
        }
    )


async def _chunks(client: anthropic.AsyncAnthropic, request: ChatRequest) -> AsyncIterator[str]:
    created = int(time.time())
    async with client.messages.stream(**_messages_form(request)) as stream:
        async for text in stream.text_stream:
            yield _chunk(request, created, {"content": text}, None)
    yield _chunk(request, created, {}, "stop")
    yield "data: [DONE]\n\n"


def _chunk(
    request: ChatRequest, created: int, delta: dict[str, str], finish_reason: str | None
) -> str:
    chunk = ChatCompletionChunk.model_validate(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion.chunk",
            "created": created,
            "model": request.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        }
    )
    return f"data: {chunk.model_dump_json(exclude_none=True)}\n\n"


async def _serve(upstream_port: int) -> None:
    listener = socket.socket()
    listener.bind((LOOPBACK, 0))
    listener.listen(1024)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(create_app(upstream_port), log_level="error", access_log=False)
    await uvicorn.Server(config).serve([listener])


def main() -> None:
    """The command line."""
    command = argparse.ArgumentParser(prog="python -m bench.idiomatic")
    command.add_argument("--upstream-port", type=int, required=True)
    uvloop.run(_serve(command.parse_args().upstream_port))


if __name__ == "__main__":
    main()
