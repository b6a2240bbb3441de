"""Every item of a batch is read as a live request would be, before anything is stored."""

from collections.abc import Callable

from gateway import wire
from gateway.errors import GatewayError, InvalidRequestError
from gateway.protocols import anthropic_messages, chat_dialects, openai_responses
from gateway.protocols.openai_embeddings import read_embedding
from gateway.protocols.shared.digests import chained, digest
from gateway.protocols.shared.reading import invalid, missing, unsupported, wrong_type
from gateway.structs import Struct
from gateway.wire import JSON, JSONObject

ENDPOINTS = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/messages")
"""What the items of a batch may ask."""

_STREAMING = frozenset({"stream", "stream_options", "background"})


class CheckedItem(Struct, frozen=True):
    """An item that can be executed: its body, and a digest of what its prompt begins with."""

    body: bytes
    prefix: bytes


class ItemChecks(Struct, frozen=True):
    """Reads items with the translators of live requests.

    `resolve` finds a model by its name or raises ModelNotFoundError. `embedding_prefix` is stripped
    from names of models for embeddings, which need a provider.
    """

    resolve: Callable[[str], object]
    embedding_prefix: str = ""
    embedding_model: str | None = None
    has_embeddings: bool = False

    def check(self, endpoint: str, body: JSON, path: str) -> CheckedItem:
        """The item at `path` of the client's body. Raises InvalidRequestError with that path."""
        try:
            if not isinstance(body, dict):
                raise wrong_type("", "an object", body)
            kept = {name: value for name, value in body.items() if name not in _STREAMING}
            return CheckedItem(wire.dumps(kept), self._prefix(endpoint, kept))
        except GatewayError as error:
            param = error.param if error.param not in {None, "", "$"} else None
            where = path if param is None else f"{path}.{param}" if path else param
            raise InvalidRequestError(
                f"{path or 'body'}: {error.message.strip()}", param=where or "$", code=error.code
            ) from error

    def _prefix(self, endpoint: str, body: JSONObject) -> bytes:
        if endpoint == "/v1/embeddings":
            return self._embedding(body)
        if endpoint == "/v1/messages":
            request = anthropic_messages.read_request(wire.dumps(body))
            _check_messages(body)
            model, sent = request.asked_model, body
        elif endpoint == "/v1/responses":
            wanted = openai_responses.state_wanted(body)
            if wanted.previous_response_id is not None or wanted.references:
                raise unsupported(
                    "previous_response_id", "and stored items cannot be used in a batch"
                )
            draft = openai_responses.translate(body).draft
            model, sent = draft.asked_model, draft.body
        else:
            draft = chat_dialects.translate(body)
            model, sent = draft.asked_model, draft.body
        self._resolve(model)
        beginning = {"system": sent.get("system"), "tools": sent.get("tools")}
        return chained(model.encode(), digest(wire.dumps_sorted(beginning)))

    def _embedding(self, body: JSONObject) -> bytes:
        if not self.has_embeddings:
            raise InvalidRequestError("this gateway has no provider of embeddings", param="url")
        request = read_embedding(body, self.embedding_prefix, self.embedding_model)
        return digest(request.asked_model.encode())

    def _resolve(self, model: str) -> None:
        try:
            self.resolve(model)
        except GatewayError as error:
            error.param = "model"
            raise


def _check_messages(body: JSONObject) -> None:
    """What Claude would say hours later; the rest is its own to judge."""
    messages, tokens = body.get("messages"), body.get("max_tokens")
    if messages is None:
        raise missing("messages")
    if not isinstance(messages, list):
        raise wrong_type("messages", "an array", messages)
    if not messages:
        raise invalid("messages", "must not be empty")
    if isinstance(tokens, bool) or not isinstance(tokens, int):
        raise wrong_type("max_tokens", "an integer", tokens)
    if tokens < 1:
        raise invalid("max_tokens", "must be at least 1")
