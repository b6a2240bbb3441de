# ruff: noqa: TID251
# mypy: ignore-errors
# Its packages are in an environment of its own, and so are their types.
"""The OpenAI package: a loop by hand, streamed and whole, through chat completions or Responses."""

import json
import os
from typing import Any

from openai import OpenAI
from workspace_tools import API_KEY, BASE_URL, MODEL, PROMPT, PROTOCOL, TOOLS, answer

Json = dict[str, Any]
client = OpenAI(base_url=f"{BASE_URL}/v1", api_key=API_KEY, max_retries=0)
streamed = os.environ["STREAM"] == "1"


def parameters(name: str) -> Json:
    names = TOOLS[name].__code__.co_varnames[: TOOLS[name].__code__.co_argcount]
    properties = {each: {"type": "string"} for each in names}
    return {
        "type": "object",
        "properties": properties,
        "required": list(names),
        "additionalProperties": False,
    }


def described(name: str) -> Json:
    return {"name": name, "description": f"{name}s in here", "parameters": parameters(name)}


def called(name: str, arguments: str) -> str:
    return TOOLS[name](**json.loads(arguments))


def chat() -> str:
    tools = [{"type": "function", "function": described(name)} for name in TOOLS]
    messages: list[Json] = [{"role": "user", "content": PROMPT}]
    while True:
        body = {"model": MODEL, "messages": messages, "tools": tools, "reasoning_effort": "high"}
        if streamed:
            with client.chat.completions.stream(**body) as stream:
                message = stream.get_final_completion().choices[0].message
        else:
            message = client.chat.completions.create(**body).choices[0].message
        if not message.tool_calls:
            return message.content or ""
        messages.append(message.to_dict())
        for call in message.tool_calls:
            text = called(call.function.name, call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": text})


def responses() -> str:
    tools = [{"type": "function", "strict": True, **described(name)} for name in TOOLS]
    items: Any = PROMPT
    previous = None
    while True:
        body = {
            "model": MODEL,
            "input": items,
            "tools": tools,
            "previous_response_id": previous,
            "reasoning": {"effort": "high", "summary": "auto"},
        }
        if streamed:
            with client.responses.stream(**body) as stream:
                response = stream.get_final_response()
        else:
            response = client.responses.create(**body)
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return response.output_text
        previous = response.id
        items = [
            {
                "type": "function_call_output",
                "call_id": call.call_id,
                "output": called(call.name, call.arguments),
            }
            for call in calls
        ]


answer(chat() if PROTOCOL == "chat" else responses())
