"""What the protocols' pipelines and the steps they share hand to each other."""

from collections.abc import Callable, Coroutine
from typing import Any

from gateway.catalog.models import Model
from gateway.context import RequestContext
from gateway.pipeline.attempts import Begun, UpstreamCall
from gateway.pipeline.reply import NOBODY, AnswerListener
from gateway.protocols.shared.draft import Draft, ReplyPlan
from gateway.reduction.report import ReductionReport
from gateway.reliability.retry import client_retry_count
from gateway.response_cache.question import Keepable
from gateway.routing.names import Route
from gateway.structs import Struct
from gateway.usage.events import RoutingNote
from gateway.wire import JSONObject


class Prepared(Struct, frozen=True):
    """A request ready to be sent: how it was read, who serves it, and how to answer.

    `client_key` is the client's own key for the conversation; `listener` hears the answer;
    `remember` is told the size of the prompt, in tokens, when the upstream begins to answer;
    `routing`, `reduction` and `unmarked` are for the usage row; `keepable` is set where the
    response cache may have the answer. `instead` prepares the same request for another model.
    """

    plan: ReplyPlan
    route: Route
    call: UpstreamCall
    client_key: str | None = None
    listener: AnswerListener = NOBODY
    remember: Callable[[int], None] | None = None
    routing: RoutingNote | None = None
    reduction: ReductionReport | None = None
    unmarked: bool = False
    keepable: Keepable | None = None
    instead: "Prepare | None" = None

    @property
    def messages(self) -> list[JSONObject]:
        """What is sent of the conversation; nothing where its body is passed on unread."""
        return self.keepable.body["messages"] if self.keepable is not None else []


Prepare = Callable[[Model | None], Coroutine[Any, Any, Prepared]]
"""Prepares a request, for the model it asks for or for another one."""


class Started(Struct, frozen=True):
    """An answer that has begun, to the request as it was sent in the end."""

    prepared: Prepared
    begun: Begun
    listener: AnswerListener


def upstream_call(
    context: RequestContext, model: Model, path: str, conversation: str
) -> UpstreamCall:
    """A call whose body and headers are still to come, by the policies of the caller's project."""
    return UpstreamCall(
        path,
        b"",
        {},
        model.id,
        family=model.family,
        affinity=conversation,
        hedge_after_seconds=context.known_caller().project.reliability.hedge_after_seconds,
        client_retries=client_retry_count(context.headers),
        context=context,
    )


def as_it_is(_: Draft) -> None:
    """Leaves a draft alone."""


class Preparing(Struct, frozen=True):
    """How the requests of a protocol are prepared.

    `short`: its endpoint serves short calls only. `client_carries`: it has a place for thinking;
    `thinking_models` are those whose thinking stands in the request. `adjust` may change the draft
    once its model is known. `by_event`: the answer is told as it comes, whatever was asked for.
    """

    short: bool = False
    client_carries: bool = False
    thinking_models: frozenset[str] = frozenset()
    adjust: Callable[[Draft], None] = as_it_is
    by_event: bool = False


PLAINLY = Preparing()
"""As chat completions are."""
