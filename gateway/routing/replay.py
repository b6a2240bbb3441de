"""Explains decisions: those that were made, from their usage rows, and what one would be now."""

from gateway.catalog.models import Model
from gateway.context import Project
from gateway.errors import InvalidRequestError, NotFoundError
from gateway.protocols.shared.draft import Draft
from gateway.routing.explanation import switch_detail
from gateway.routing.learned import Weighed, choose
from gateway.routing.outcomes import Counts, request_mark
from gateway.routing.router import GUARDED_CLASSES, ONE_SHOT_THRESHOLD, Asking, Router
from gateway.routing.stickiness import STRIKES_TO_ESCALATE, Sticky
from gateway.storage.routing_outcomes import RoutingOutcomeStore
from gateway.wire import JSON, JSONObject

_CHARS_PER_TOKEN = 3.5


class RoutingExplanations:
    """What the admin endpoint tells. Raises UnavailableError when the database is down."""

    def __init__(self, router: Router, outcomes: RoutingOutcomeStore) -> None:
        self._router = router
        self._outcomes = outcomes

    async def past(self, conversation: str | None, request_id: str | None) -> JSONObject:
        """{"decisions": [...]}, the newest first: what was decided, from which numbers.

        `replayed` is the model that the same numbers give today, null where none were weighed: a
        name that says its model, or a conversation that kept its own. Raises NotFoundError.
        """
        if not conversation and not request_id:
            raise InvalidRequestError("name a conversation or a request_id", param="conversation")
        found = await self._outcomes.decisions(
            conversation=conversation or None, request_id=request_id or None
        )
        if not found:
            raise NotFoundError("no decision is known of it; rows are stored after some seconds")
        return {"decisions": [{**row, "replayed": self._replayed(row)} for row in found]}

    def now(
        self, draft: Draft, project: Project, conversation: str | None, cached_tokens: int | None
    ) -> JSONObject:
        """What would be decided for a chat as the first turn of its conversation, and why.

        `conversation` is its identity in hex digits, from which experiments are drawn. `switch` is
        what going up would cost and bring after `strikes` strikes, with so much in the cache.
        """
        if conversation is None:
            conversation = request_mark(draft.body["messages"])
        asking = Asking(project, _seed(conversation))
        decision = self._router.decide(draft, asking)
        if cached_tokens is None:
            cached_tokens = int(_chars(draft.body) / _CHARS_PER_TOKEN)
        route = decision.route
        return {
            "model": route.model.id,
            "asked_model": draft.asked_model,
            "route_reason": route.reason,
            "reasons": list(decision.reasons),
            "task_class": decision.task_class,
            "score": decision.score,
            "conversation": conversation,
            "effort": decision.effort,
            "failed_results": decision.failed_results,
            "detail": decision.detail,
            "switch": self._switch(decision.sticky, asking, cached_tokens),
        }

    def _switch(self, sticky: Sticky, asking: Asking, cached_tokens: int) -> JSONObject | None:
        if sticky.model != self._router.names.default.id:
            return None
        struck = Sticky(
            sticky.model,
            task_class=sticky.task_class,
            messages=sticky.messages,
            strikes=STRIKES_TO_ESCALATE,
        )
        asking = Asking(asking.project, asking.conversation, struck, cached_tokens)
        switch = self._router.switch(struck, asking)
        return {"cached_tokens": cached_tokens, **switch_detail(switch)}

    def _replayed(self, row: JSONObject) -> str | None:
        """The model that the stored numbers give, None when there are none."""
        detail = row["route_detail"] or {}
        arms = [self._arm(stored) for stored in detail.get("models", ())]
        known = [arm for arm in arms if arm is not None]
        if len(known) != 2 or not row["conversation"]:
            return None
        weighed = Weighed(
            detail.get("score", 0.0),
            detail.get("threshold", ONE_SHOT_THRESHOLD),
            row["task_class"] in GUARDED_CLASSES,
        )
        return choose(known[0], known[1], weighed, _seed(row["conversation"])).model.id

    def _arm(self, stored: JSONObject) -> tuple[Model, Counts] | None:
        model = self._router.names.catalog.find(stored["model"])
        if model is None:
            return None
        return model, Counts(stored["successes"], stored["failures"])


def _seed(conversation: str) -> bytes:
    try:
        seed = bytes.fromhex(conversation)
    except ValueError:
        raise InvalidRequestError(
            "a conversation is named by hex digits", param="conversation"
        ) from None
    return seed


def _chars(value: JSON) -> int:
    """Characters of all texts in a body."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(_chars(item) for item in value)
    if isinstance(value, dict):
        return sum(_chars(item) for item in value.values())
    return 0
