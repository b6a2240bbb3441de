"""One chat completion over plain HTTP, as a stream of pieces."""

import http.client
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from gateway import wire
from gateway.cli.clients.target import Target
from gateway.cli.http_calls import (
    CallError,
    connected,
    connection_to,
    error_message,
    reason_of,
    refused,
)

_SILENCE_SECONDS = 120.0  # the gateway sends a comment every 12 s while it waits
_WHOLE_ANSWER_SECONDS = 1800.0  # without a stream nothing comes before the answer is complete
_MOST_LINE_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer: its text, or the model's thinking."""

    text: str
    thinking: bool = False


@dataclass(slots=True)
class Outcome:
    """What is known once the pieces are through."""

    simulated: bool = False
    finish_reason: str = ""


def ask(
    target: Target, messages: list[dict[str, str]], *, stream: bool, outcome: Outcome
) -> Generator[Piece, None, None]:
    """The answer, piece by piece; `outcome` is filled on the way. Raises CallError."""
    body: dict[str, Any] = {"model": target.model, "messages": messages, "stream": stream}
    connection = connection_to(target)
    try:
        response = _posted(connection, target, wire.dumps(body), stream=stream)
        outcome.simulated = response.getheader("X-Model-Source") == "simulator"
        if response.status != http.client.OK:
            raise refused(response)
        yield from _streamed(response, outcome) if stream else _whole(response, outcome)
    except (OSError, http.client.HTTPException) as error:
        raise CallError(f"the connection to {target.base_url} broke: {reason_of(error)}") from error
    finally:
        connection.close()


def _posted(
    connection: http.client.HTTPConnection, target: Target, body: bytes, *, stream: bool
) -> http.client.HTTPResponse:
    seconds = _SILENCE_SECONDS if stream else _WHOLE_ANSWER_SECONDS
    connected(connection, target, seconds)
    headers = {
        **target.headers,
        "Content-Type": "application/json",
        "Accept": "text/event-stream" if stream else "application/json",
    }
    path = urlsplit(target.base_url).path + "/chat/completions"
    connection.request("POST", path, body, headers)
    return connection.getresponse()


def _whole(response: http.client.HTTPResponse, outcome: Outcome) -> Iterator[Piece]:
    answer = _decoded(response.read())
    for choice in _choices(answer):
        yield from _pieces(choice.get("message") or {})
        outcome.finish_reason = choice.get("finish_reason") or ""


def _streamed(response: BinaryIO, outcome: Outcome) -> Iterator[Piece]:
    """Each event is one line: that is how the gateway writes them."""
    while line := response.readline(_MOST_LINE_BYTES):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        chunk = _decoded(data)
        if message := error_message(chunk):
            raise CallError(message)
        for choice in _choices(chunk):
            yield from _pieces(choice.get("delta") or {})
            outcome.finish_reason = choice.get("finish_reason") or outcome.finish_reason
    raise CallError("the answer was cut off")


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        value = wire.loads(data)
    except wire.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise CallError("the answer is not one of a gateway; is the base URL right?")
    return value


def _choices(answer: dict[str, Any]) -> list[dict[str, Any]]:
    choices = answer.get("choices")
    if not isinstance(choices, list):
        raise CallError("the answer is not one of a gateway; is the base URL right?")
    return choices


def _pieces(message: dict[str, Any]) -> Iterator[Piece]:
    thinking = message.get("reasoning_content")
    if isinstance(thinking, str) and thinking:
        yield Piece(thinking, thinking=True)
    for name in ("content", "refusal"):
        text = message.get(name)
        if isinstance(text, str) and text:
            yield Piece(text)
