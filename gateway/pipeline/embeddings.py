"""Embeddings: admitted and accounted for as a chat is, answered by another provider."""

import re

from gateway import wire
from gateway.catalog.models import Model
from gateway.context import RequestContext
from gateway.errors import NotConfiguredError, UpstreamError
from gateway.pipeline.accounting import Account
from gateway.pipeline.attempts import Begun, Repair, UpstreamCall
from gateway.pipeline.live import LivePipeline
from gateway.pipeline.prepared import Prepared, Started
from gateway.pipeline.reply import Reply, Settle
from gateway.protocols.openai_embeddings import (
    EmbeddingRequest,
    embedding_answer,
    read_embedding,
    without_encoding,
)
from gateway.protocols.shared.draft import ReplyPlan
from gateway.protocols.shared.usage import UsageMeter
from gateway.reliability.retry import client_retry_count
from gateway.routing.names import Route
from gateway.structs import Struct

_HEADERS = {"content-type": "application/json", "accept": "application/json"}
_FORMAT_REFUSED = re.compile(r"encoding_format|base64", re.IGNORECASE)
_NAME_CHARS = 200


class EmbeddingModel(Model, frozen=True):
    """A model that only its provider knows; all of them share one circuit breaker."""

    @property
    def family(self) -> str:
        """The class for the breaker: names come from clients and must not make new ones."""
        return "embeddings"


class EmbeddingPipeline(Struct, frozen=True):
    """Serves `POST /v1/embeddings`.

    `provider` are the steps of a live request in front of the provider instead of Claude, None when
    no provider is set; `model` is the one that serves all names, None to let clients choose.
    """

    live: LivePipeline
    provider: LivePipeline | None
    model: str | None

    async def open_embeddings(self, context: RequestContext, body: bytes) -> Reply:
        """The reply to a request for embeddings. Raises GatewayError before there is one."""
        provider = self.provider
        if provider is None:
            with self.live.accounting.refusals(context):
                raise NotConfiguredError(
                    "this gateway has no provider of embeddings: set EMBEDDING_API_URL"
                )
        requests: list[EmbeddingRequest] = []

        async def prepare(_: Model | None) -> Prepared:
            prefix = provider.names.prefix
            request = read_embedding(wire.loads_object(body), prefix, self.model)
            requests.append(request)
            return _prepared(provider, context, request)

        def reply(account: Account, started: Started) -> Reply:
            return EmbeddingReply(started.begun, requests[0], account.settle)

        return await provider.open(context, body, prepare, provider.begin, reply)


class EmbeddingReply(Reply):
    """An answer of the provider, in the form the client asked for."""

    stream = False

    def __init__(self, begun: Begun, request: EmbeddingRequest, settle: Settle) -> None:
        self._usage = UsageMeter()
        super().__init__(begun, self._usage, settle)
        self._request = request

    async def whole(self) -> bytes:
        """The complete answer. Raises UpstreamError when it is cut or no answer."""
        try:
            answer = self._answer(await self.begun.response.read_all())
        except UpstreamError as error:
            self.failure, self.finished = error, True
            raise
        self.finished = True
        return wire.dumps(answer)

    def _answer(self, body: bytes) -> wire.JSONObject:
        try:
            said = wire.loads(body)
        except wire.JSONDecodeError as error:
            raise UpstreamError(
                "the embedding provider sent an answer that is no JSON", detail=str(error)
            ) from error
        answer = embedding_answer(said, self._request)
        self._usage.input_tokens = answer["usage"]["prompt_tokens"]
        self._usage.started = self._usage.completed = True
        return answer


def _prepared(
    provider: LivePipeline, context: RequestContext, request: EmbeddingRequest
) -> Prepared:
    name = str(request.body["model"])[:_NAME_CHARS]
    route = Route(EmbeddingModel(name), "custom", "embedding")
    provider.announce(context, route, None)
    context.set_header("X-Routed-Model", name)

    def repair(error: UpstreamError) -> Repair | None:
        """Ask again for numbers when the provider does not know the encoding."""
        if error.upstream_status not in (400, 422) or not _FORMAT_REFUSED.search(error.message):
            return None
        return Repair("encoding_format", wire.dumps(without_encoding(request.body)))

    call = UpstreamCall(
        "/embeddings",
        wire.dumps(request.body),
        _HEADERS,
        name,
        family=route.model.family,
        streamed=False,
        client_retries=client_retry_count(context.headers),
        repair=repair,
        context=context,
    )
    return Prepared(ReplyPlan(request.asked_model), route, call)
