"""`POST /v1/embeddings`: read, passed on to an OpenAI-compatible provider, and answered.

Providers differ in what they return: some know only lists of numbers, some leave out `usage` or
`index`. The client gets what it asked for: numbers, or base64 of little-endian 32-bit floats.

Source: SDK types `EmbeddingCreateParams` and `CreateEmbeddingResponse` of the openai package 3.54.
"""

import base64
import binascii
import hashlib
import math
import struct
from collections.abc import Mapping

from gateway import wire
from gateway.errors import UpstreamError
from gateway.protocols.shared.failures import upstream_error
from gateway.protocols.shared.reading import (
    invalid,
    missing,
    optional_count,
    optional_string,
    wrong_type,
)
from gateway.protocols.shared.safe_text import safe_text
from gateway.protocols.shared.usage import CHARS_PER_TOKEN
from gateway.structs import Struct
from gateway.wire import JSON, JSONObject

MAX_INPUTS = 2048
"""OpenAI's limit of inputs in one request."""

_FORMATS = ("float", "base64")
_FLOAT_BYTES = 4


class EmbeddingRequest(Struct, frozen=True):
    """A request as it goes to the provider, and what its answer must know.

    `estimated_tokens` serves when the provider does not count.
    """

    asked_model: str
    body: JSONObject
    in_base64: bool
    estimated_tokens: int


def read_embedding(body: JSONObject, prefix: str, model: str | None) -> EmbeddingRequest:
    """The request for the provider, whose own `model` serves all names when it is given.

    `prefix` is stripped from the client's name. Fields that are not OpenAI's pass: providers have
    fields of their own. Raises InvalidRequestError with the JSON path in `param`.
    """
    asked = optional_string(body.get("model"), "model") or ""
    named = asked[len(prefix) :] if asked.lower().startswith(prefix.lower()) else asked
    served = model or named
    if not served:
        raise missing("model")
    encoding = optional_string(body.get("encoding_format"), "encoding_format")
    if encoding not in (None, *_FORMATS):
        raise invalid("encoding_format", "must be float or base64")
    optional_count(body.get("dimensions"), "dimensions")
    tokens = _estimated_tokens(body.get("input"))
    sent = {name: value for name, value in body.items() if value is not None}
    sent["model"] = served
    if (user := optional_string(body.get("user"), "user")) is not None:
        # Hashed, so that no address or name of a person leaves the gateway.
        sent["user"] = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
    return EmbeddingRequest(asked or served, sent, encoding == "base64", tokens)


def without_encoding(body: JSONObject) -> JSONObject:
    """`body` for a provider that does not know `encoding_format`."""
    return {name: value for name, value in body.items() if name != "encoding_format"}


def embedding_answer(answer: JSON, request: EmbeddingRequest) -> JSONObject:
    """The provider's answer as the client shall see it.

    Raises UpstreamError when it is not an answer.
    """
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list):
        raise _unreadable("no data")
    return {
        "object": "list",
        "data": [_embedding(entry, index, request.in_base64) for index, entry in enumerate(data)],
        "model": request.asked_model,
        "usage": _usage(answer.get("usage"), request),
    }


def provider_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The provider's HTTP error as ours. Its words are kept, but for those about its key."""
    error = upstream_error(status, headers, body)
    if status in (401, 403):  # the gateway's key is not the client's
        said = "the embedding provider did not accept the gateway's key"
    else:
        said = _said(body) or f"the embedding provider answered with status {status}"
    result = UpstreamError(
        said,
        status=502 if status == 403 else error.status,
        code="upstream_auth" if status == 403 else error.code,
        retry_after_seconds=error.retry_after_seconds,
        retryable=error.retryable,
        detail=f"HTTP {status} of the embedding provider",
    )
    result.upstream_status = status
    return result


def _estimated_tokens(given: JSON) -> int:
    """About how many tokens `input` has. Raises InvalidRequestError for what is no input."""
    if given is None:
        raise missing("input")
    if isinstance(given, str):
        given = [given]
    elif not isinstance(given, list):
        raise wrong_type("input", "a string or an array", given)
    if not given:
        raise invalid("input", "must not be empty")
    if _is_tokens(given):
        return len(given)
    if len(given) > MAX_INPUTS:
        raise invalid("input", f"has more than {MAX_INPUTS} entries")
    return sum(_tokens_of(entry, f"input[{index}]") for index, entry in enumerate(given))


def _tokens_of(entry: JSON, path: str) -> int:
    if isinstance(entry, str):
        if not entry:
            raise invalid(path, "must not be empty")
        return math.ceil(len(entry) / CHARS_PER_TOKEN)
    if isinstance(entry, list) and entry and _is_tokens(entry):
        return len(entry)
    raise wrong_type(path, "a string or an array of tokens", entry)


def _is_tokens(entries: list[JSON]) -> bool:
    return all(type(entry) is int for entry in entries)


def _embedding(entry: JSON, index: int, in_base64: bool) -> JSONObject:
    if not isinstance(entry, dict):
        raise _unreadable("an entry is no object")
    given = entry.get("embedding")
    if isinstance(given, str):
        vector: JSON = given if in_base64 else _floats(given)
    elif isinstance(given, list):
        vector = _packed(given) if in_base64 else given
    else:
        raise _unreadable("an embedding is neither text nor a list")
    return {"object": "embedding", "index": entry.get("index", index), "embedding": vector}


def _packed(numbers: list[JSON]) -> str:
    try:
        return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode("ascii")
    except (struct.error, OverflowError) as error:
        raise _unreadable("an embedding holds what is no number") from error


def _floats(packed: str) -> list[float]:
    try:
        raw = base64.b64decode(packed, validate=True)
        return list(struct.unpack(f"<{len(raw) // _FLOAT_BYTES}f", raw))
    except (binascii.Error, ValueError, struct.error) as error:
        raise _unreadable("an embedding is no base64 of floats") from error


def _usage(given: JSON, request: EmbeddingRequest) -> JSONObject:
    counted = given if isinstance(given, dict) else {}
    for name in ("prompt_tokens", "total_tokens"):
        if type(counted.get(name)) is int:
            tokens = counted[name]
            break
    else:
        tokens = request.estimated_tokens
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def _unreadable(detail: str) -> UpstreamError:
    return UpstreamError("the embedding provider sent an answer that cannot be read", detail=detail)


def _said(body: bytes) -> str:
    """The message in an error body of OpenAI's form, or of the forms near to it."""
    try:
        value = wire.loads(body)
    except wire.JSONDecodeError:
        return ""
    for name in ("error", "message", "detail"):
        said = value.get(name) if isinstance(value, dict) else None
        if isinstance(said, dict):
            said = said.get("message")
        if isinstance(said, str) and said:
            return safe_text(said)
    return ""
