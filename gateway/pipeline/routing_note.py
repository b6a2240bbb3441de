"""From a decision about a model to its headers and its usage row."""

from gateway.context import RequestContext
from gateway.routing.router import Decision
from gateway.usage.events import RoutingNote

_HEADER = "X-Route-Reason"


def announce_decision(context: RequestContext, decision: Decision) -> None:
    """Tell the client why its model was chosen."""
    context.set_header(_HEADER, "; ".join(decision.reasons))


def routing_note(decision: Decision, conversation: bytes) -> RoutingNote:
    """What the usage row of a request says about its model."""
    return RoutingNote(
        route_reason=decision.route.reason,
        task_class=decision.task_class,
        conversation=conversation.hex(),
        failed_results=decision.failed_results,
        repeats=decision.repeats,
        route_detail=decision.detail or None,
    )
