"""Questions that may be answered from the response cache, through the official package."""

import secrets
from typing import Any

import openai

MODEL = "claude-sonnet-5-5"
TOOL: Any = {"type": "function", "function": {"name": "read_file"}}

Fields = dict[str, Any]


def new_mark() -> str:
    """A word that makes a question new, and by which it is found at the upstream."""
    return f"mark-{secrets.token_hex(8)}"


def ask(text: str, **fields: Any) -> Fields:
    """A chat of one question, of temperature 0."""
    fields = {"temperature": 0, **fields}
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}


def asked(sdk: openai.OpenAI, body: Fields, **options: Any) -> tuple[str | None, Any]:
    """X-Cache and the completion, or the chunks of a stream."""
    raw: Any = sdk.chat.completions.with_raw_response.create(**body, **options)
    answer = raw.parse()
    return raw.headers.get("x-cache"), list(answer) if body.get("stream") else answer


def text_of(answer: Any) -> str:
    """The text of a completion or of chunks."""
    if not isinstance(answer, list):
        return str(answer.choices[0].message.content)
    return "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)


def id_of(answer: Any) -> str:
    """The id of a completion or of chunks."""
    return str(answer[0].id if isinstance(answer, list) else answer.id)
