"""The rules of the Messages API that a request body must keep, for tests."""

import re
from typing import Any

from jsonschema import Draft202012Validator

from gateway.catalog.models import Model

_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}").fullmatch
_COMBINATIONS = ("oneOf", "anyOf", "allOf")


def broken_rules(body: dict[str, Any], model: Model) -> list[str]:
    """What the API would refuse in `body`; an empty list for a good one."""
    broken: list[str] = []
    messages = body["messages"]
    _check_order(messages, model, broken)
    for index, message in enumerate(messages):
        _check_content(message, f"messages[{index}]", broken)
    _check_pairs(messages, broken)
    for index, block in enumerate(body.get("system", [])):
        _check_text(block, f"system[{index}]", broken)
    _check_tools(body, model, broken)
    _check_limits(body, model, broken)
    _check_marks(body, broken)
    if not all(sequence.strip() for sequence in body.get("stop_sequences", [])):
        broken.append("blank stop sequence")
    if {"temperature", "top_p", "top_k"} & set(body):
        broken.append("sampling is refused")
    return broken


def _check_order(messages: list[dict[str, Any]], model: Model, broken: list[str]) -> None:
    if not messages or messages[0]["role"] != "user":
        broken.append("the first message must be the user's")
        return
    before = None
    for message in messages:
        role = message["role"]
        if role == "system":
            if not model.system_messages:
                broken.append("system messages are not supported")
            if before != "user":
                broken.append("a system message must follow a user message")
        elif role == before or (role == "user" and before == "system"):
            broken.append(f"{role} after {before}")
        before = role
    if messages[-1]["role"] == "assistant":
        if not model.prefill:
            broken.append("prefill")
        closing = messages[-1]["content"][-1]
        if closing["type"] == "text" and closing["text"] != closing["text"].rstrip():
            broken.append("trailing whitespace in prefill")


def _check_content(message: dict[str, Any], path: str, broken: list[str]) -> None:
    allowed = {
        "user": {"text", "image", "document", "tool_result"},
        "assistant": {"text", "tool_use", "thinking", "redacted_thinking"},
        "system": {"text"},
    }[message["role"]]
    if not message["content"]:
        broken.append(f"{path} is empty")
    elif message["content"][-1]["type"] in ("thinking", "redacted_thinking"):
        broken.append(f"{path} ends with thinking")
    for block in message["content"]:
        if block["type"] not in allowed:
            broken.append(f"{path}: {block['type']} in a {message['role']} message")
        if block["type"] == "text":
            _check_text(block, path, broken)
        if block["type"] == "tool_use" and not isinstance(block["input"], dict):
            broken.append(f"{path}: input is no object")
        for inner in block.get("content", ()):
            if inner["type"] == "text":
                _check_text(inner, path, broken)
            if "cache_control" in inner:
                broken.append(f"{path}: mark inside a result")


def _check_text(block: dict[str, Any], path: str, broken: list[str]) -> None:
    if not isinstance(block["text"], str) or not block["text"].strip():
        broken.append(f"{path}: blank text")


def _check_pairs(messages: list[dict[str, Any]], broken: list[str]) -> None:
    seen: set[str] = set()
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "system":
            continue
        uses = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        kinds = [block["type"] for block in message["content"]]
        results = [
            block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"
        ]
        if results != waiting:
            broken.append(f"results {results} for calls {waiting}")
        if kinds[: len(results)].count("tool_result") != len(results):
            broken.append("results must come first")
        if seen & set(uses) or len(set(uses)) != len(uses):
            broken.append("ids must be unique")
        if not all(map(_ID, uses)):
            broken.append(f"illegal id in {uses}")
        seen |= set(uses)
        waiting = uses
    if waiting:
        broken.append(f"unanswered: {waiting}")


def _check_tools(body: dict[str, Any], model: Model, broken: list[str]) -> None:
    tools = body.get("tools", [])
    names = [tool["name"] for tool in tools]
    if names != sorted(set(names)):
        broken.append("tool names must be unique and sorted")
    for tool in tools:
        if not _ID(tool["name"]):
            broken.append(f"illegal tool name {tool['name']}")
        schema = tool["input_schema"]
        if schema.get("type") != "object" or any(word in schema for word in _COMBINATIONS):
            broken.append(f"schema of {tool['name']} is not an object")
        Draft202012Validator.check_schema(schema)
    used = {
        block["name"]
        for message in body["messages"]
        for block in message["content"]
        if block["type"] == "tool_use"
    }
    if used and not tools:
        broken.append("tool blocks without tools")
    if "tool_choice" in body:
        _check_choice(body, model, broken)


def _check_choice(body: dict[str, Any], model: Model, broken: list[str]) -> None:
    choice = body["tool_choice"]
    names = [tool["name"] for tool in body.get("tools", [])]
    if not names:
        broken.append("tool_choice without tools")
    if choice["type"] in ("any", "tool") and not model.forced_tool_choice:
        broken.append("forced tool choice")
    if choice["type"] in ("any", "tool") and body.get("thinking", {}).get("type") == "enabled":
        broken.append("forced tool choice with manual thinking")
    if choice["type"] == "tool" and choice["name"] not in names:
        broken.append("choice of an unknown tool")
    if choice["type"] == "none" and len(choice) > 1:
        broken.append("none takes no switch")


def _check_limits(body: dict[str, Any], model: Model, broken: list[str]) -> None:
    if not 1 <= body["max_tokens"] <= model.max_output_tokens:
        broken.append(f"max_tokens {body['max_tokens']}")
    thinking = body.get("thinking", {})
    kind = thinking.get("type")
    if kind is not None and kind not in model.thinking:
        broken.append(f"thinking {kind}")
    if kind == "enabled" and not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
        broken.append("thinking budget")
    if kind == "enabled" and body["messages"][-1]["role"] == "assistant":
        broken.append("prefill with thinking")
    if kind in ("disabled", "between_tools") and "display" in thinking:
        broken.append("display without thinking")
    effort = body.get("output_config", {}).get("effort")
    if effort is not None and effort not in model.efforts:
        broken.append(f"effort {effort}")
    if kind in ("disabled", "between_tools") and effort in ("xhigh", "max"):
        broken.append(f"effort {effort} without thinking")
    if "format" in body.get("output_config", {}) and body["messages"][-1]["role"] == "assistant":
        broken.append("prefill with a format")


def _check_marks(body: dict[str, Any], broken: list[str]) -> None:
    groups = [body.get("tools", []), body.get("system", [])]
    groups += [message["content"] for message in body["messages"]]
    marks = [
        block["cache_control"] for group in groups for block in group if "cache_control" in block
    ]
    if len(marks) > 4:
        broken.append(f"{len(marks)} cache marks")
    lifetimes = [mark.get("ttl", "5m") for mark in marks]
    if lifetimes != sorted(lifetimes):  # "1h" < "5m": the longer one must come first
        broken.append("a longer lifetime behind a shorter one")
