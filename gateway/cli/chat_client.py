"""One chat completion over plain HTTP, as a stream of pieces."""

import http.client
import ssl
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from gateway import wire
from gateway.cli.clients.target import Target
from gateway.errors import GatewayError

_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 120.0  # the gateway sends a comment every 12 s while it waits
_WHOLE_ANSWER_SECONDS = 1800.0  # without a stream nothing comes before the answer is complete
_MOST_LINE_BYTES = 64_000_000


class ChatError(GatewayError):
    """The question got no answer, or only a part of one; the message is one line."""

    code = "chat_failed"

    def __str__(self) -> str:
        line = " ".join(self.message.split())
        return "".join(letter for letter in line if letter.isprintable())


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
    """The answer, piece by piece; `outcome` is filled on the way. Raises ChatError."""
    body: dict[str, Any] = {"model": target.model, "messages": messages, "stream": stream}
    connection = _connection(target)
    try:
        response = _posted(connection, target, wire.dumps(body), stream=stream)
        outcome.simulated = response.getheader("X-Model-Source") == "simulator"
        if response.status != http.client.OK:
            raise _refused(response)
        yield from _streamed(response, outcome) if stream else _whole(response, outcome)
    except (OSError, http.client.HTTPException) as error:
        raise ChatError(f"the connection to {target.base_url} broke: {_reason(error)}") from error
    finally:
        connection.close()


def _connection(target: Target) -> http.client.HTTPConnection:
    parts = urlsplit(target.base_url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            host, parts.port, timeout=_CONNECT_SECONDS, context=context
        )
    return http.client.HTTPConnection(host, parts.port, timeout=_CONNECT_SECONDS)


def _posted(
    connection: http.client.HTTPConnection, target: Target, body: bytes, *, stream: bool
) -> http.client.HTTPResponse:
    try:
        connection.connect()
    except OSError as error:
        raise ChatError(
            f"nothing answers at {target.base_url}: {_reason(error)}; "
            "see `coding-gateway status`, or start `coding-gateway up`"
        ) from error
    connection.sock.settimeout(_SILENCE_SECONDS if stream else _WHOLE_ANSWER_SECONDS)
    headers = {
        "Authorization": f"Bearer {target.api_key}",
        "Content-Type": "application/json",
        "Accept": "text/event-stream" if stream else "application/json",
    }
    path = urlsplit(target.base_url).path + "/chat/completions"
    connection.request("POST", path, body, headers)
    return connection.getresponse()


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _refused(response: http.client.HTTPResponse) -> ChatError:
    """The error of a status that is not 200, in whose words it comes."""
    content = response.read(1_000_000)
    try:
        message = _message(wire.loads(content))
    except wire.JSONDecodeError:
        message = None
    return ChatError(f"{message or response.reason or 'refused'} ({response.status})")


def _message(answer: Any) -> str | None:
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        return str(error.get("message") or error.get("code") or "unknown error")
    return str(error) if error else None


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
        if message := _message(chunk):
            raise ChatError(message)
        for choice in _choices(chunk):
            yield from _pieces(choice.get("delta") or {})
            outcome.finish_reason = choice.get("finish_reason") or outcome.finish_reason
    raise ChatError("the answer was cut off")


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        value = wire.loads(data)
    except wire.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise ChatError("the answer is not one of a gateway; is the base URL right?")
    return value


def _choices(answer: dict[str, Any]) -> list[dict[str, Any]]:
    choices = answer.get("choices")
    if not isinstance(choices, list):
        raise ChatError("the answer is not one of a gateway; is the base URL right?")
    return choices


def _pieces(message: dict[str, Any]) -> Iterator[Piece]:
    thinking = message.get("reasoning_content")
    if isinstance(thinking, str) and thinking:
        yield Piece(thinking, thinking=True)
    for name in ("content", "refusal"):
        text = message.get(name)
        if isinstance(text, str) and text:
            yield Piece(text)
