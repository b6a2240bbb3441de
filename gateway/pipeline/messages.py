"""Anthropic Messages: admitted and accounted for as everything else, passed on as they are."""

from collections.abc import Awaitable

from gateway import wire
from gateway.catalog.models import Model
from gateway.context import RequestContext
from gateway.pipeline.accounting import Account
from gateway.pipeline.forward import ForwardedBody, ForwardedStream, UsageReader
from gateway.pipeline.live import LivePipeline
from gateway.pipeline.prepared import Prepared, Started, upstream_call
from gateway.pipeline.reply import Reply
from gateway.protocols import anthropic_messages
from gateway.protocols.anthropic_messages import MessagesRequest
from gateway.protocols.shared.draft import Draft, ReplyPlan
from gateway.reduction.cache_plan import count_marks
from gateway.reduction.ledger import reduction_headers
from gateway.reduction.passes import marks_only
from gateway.structs import Struct, replace


class MessagesPipeline(Struct, frozen=True):
    """Serves `POST /v1/messages` and its token count."""

    live: LivePipeline

    def open_messages(self, context: RequestContext, body: bytes) -> Awaitable[Reply]:
        """The reply to a Messages request: Claude's own bytes."""

        async def prepare(instead: Model | None) -> Prepared:
            request = anthropic_messages.read_request(body)
            prepared = self._forwarded(context, request, body, "/v1/messages", instead)
            if context.known_caller().project.reduction.messages:
                return await self._marked(context, request, prepared)
            return prepared

        def reply(account: Account, started: Started) -> Reply:
            begun = started.begun
            context.response_headers |= anthropic_messages.returned_headers(begun.response.headers)
            if not started.prepared.plan.stream:
                return ForwardedBody(begun, account.settle)
            reader = UsageReader()
            reader.feed(begun.events)
            account.began(reader.meter)
            return ForwardedStream(begun, reader, account.settle)

        return self.live.open(context, body, prepare, self.live.begin, reply)

    async def open_count_tokens(self, context: RequestContext, body: bytes) -> Reply:
        """The reply to a token count: free, so it leaves no usage."""
        live = self.live
        with live.accounting.refusals(context):

            async def prepare() -> Prepared:
                request = anthropic_messages.read_request(body)
                return self._forwarded(context, request, body, "/v1/messages/count_tokens", None)

            prepared = await live.admit_free(context, prepare)
            begun = await live.attempts.begin(replace(prepared.call, streamed=False))
        context.response_headers |= anthropic_messages.returned_headers(begun.response.headers)
        return ForwardedBody(begun, live.accounting.nothing_used)

    async def _marked(
        self, context: RequestContext, request: MessagesRequest, prepared: Prepared
    ) -> Prepared:
        """The request with cache marks beside the client's own; nothing else of it is changed.

        Thinking is bound to what stands before it, and marks are no content; texts stay as they
        are, since a refusal could not be mended here.
        """
        blocks = anthropic_messages.in_blocks(request.body)
        if blocks is None:
            return prepared
        model = prepared.route.model
        draft = Draft(request.asked_model, blocks, prepared.plan, user_key=request.user_key)
        draft.cache_explicit = "cache_control" in blocks  # automatic ones, which are the API's
        conversation = self.live.conversations.open(context, draft)
        conversation.shared.send()
        await conversation.load()
        policy = context.known_caller().project.reduction
        reduction = await conversation.begin(draft, model, marks_only(policy))
        marked = reduction.mark({**blocks, "model": model.id}, conversation.digests)
        context.response_headers |= reduction_headers(reduction.report)
        return replace(
            prepared,
            call=replace(prepared.call, body=wire.dumps(marked)),
            remember=conversation.remember,
            reduction=reduction.report,
            unmarked=count_marks(blocks) == 0,
        )

    def _forwarded(
        self,
        context: RequestContext,
        request: MessagesRequest,
        body: bytes,
        path: str,
        instead: Model | None,
    ) -> Prepared:
        route = self.live.names.resolve(request.asked_model)
        if instead is not None:
            route = replace(route, model=instead, reason="fallback")
        self.live.announce(context, route, None)
        if route.variant is not None:  # the body is not ours to change
            context.set_header(
                "X-Model-Warning", "words behind the model's name change nothing here"
            )
        if instead is not None or self.live.names.catalog.find(request.asked_model) is None:
            body = anthropic_messages.with_model(body, route.model.id)
        call = replace(
            upstream_call(context, route.model, path, request.user_key or ""),
            body=body,
            headers=anthropic_messages.upstream_headers(context.headers),
            streamed=request.stream,
        )
        plan = ReplyPlan(request.asked_model, stream=request.stream)
        return Prepared(plan, route, call, request.user_key)
