"""The model of a request: what its name says, else what the work needs; once per conversation."""

from gateway.catalog.models import Model
from gateway.context import Project
from gateway.policies import RoutingPolicy
from gateway.protocols.shared.draft import Draft
from gateway.protocols.shared.one_shot import is_one_shot
from gateway.routing.explanation import detail_of, switch_detail
from gateway.routing.learned import PRIOR_SUCCESS, Choice, Weighed, choose, success
from gateway.routing.names import ModelNames, Route
from gateway.routing.outcomes import OutcomeSnapshot, failed_results, request_mark
from gateway.routing.rules import wants_heavy
from gateway.routing.scoring import Score, score_of
from gateway.routing.stickiness import Sticky, Switch, is_repeat, noted, weigh_switch
from gateway.routing.task_features import TaskFeatures, read_class, read_features
from gateway.structs import Struct, field, replace
from gateway.wire import JSONObject

GUARDED_CLASSES = frozenset({"incident", "security"})
"""Classes without experiments below what the score says."""

ONE_SHOT_THRESHOLD = 0.5
"""Of short calls, whose score is 0: the small model, unless it fails at them."""

_KEPT_THINKING = frozenset({"adaptive", "disabled", "between_tools"})  # the rest needs numbers


class Asking(Struct, frozen=True):
    """Who asks and what is remembered of the conversation.

    `conversation` is its identity; `cached_tokens` is how much of it is in the prompt cache.
    `short` marks calls of an endpoint that serves short ones only.
    """

    project: Project
    conversation: bytes
    sticky: Sticky | None = None
    cached_tokens: int = 0
    short: bool = False


class Decision(Struct):
    """The route of a request and why.

    `sticky` is what to remember of the conversation, `effort` and `thinking` what to send where the
    client says nothing. `reasons` are for people, the first one is the route's. `failed_results`
    and `repeats` are the verdict on the answer before; `detail` holds the numbers behind the
    decision and, as "from", the model that the verdict is about when it is another one.
    """

    route: Route
    sticky: Sticky
    score: float | None
    reasons: tuple[str, ...]
    task_class: str
    effort: str | None = None
    thinking: str | None = None
    failed_results: int = 0
    repeats: bool = False
    detail: JSONObject = field(default_factory=dict)


class Router(Struct, frozen=True):
    """Decides; holds no state of its own but what `outcomes` is renewed with."""

    names: ModelNames
    heavy: Model
    outcomes: OutcomeSnapshot

    def decide(self, draft: Draft, asking: Asking) -> Decision:
        """The model of a request. Raises ModelNotFoundError."""
        route = self.names.resolve(draft.asked_model, short=asking.short)
        messages = draft.body["messages"]
        count, mark, failed = len(messages), request_mark(messages), failed_results(messages)
        sticky = asking.sticky
        repeats = sticky is not None and is_repeat(sticky, mark, count)
        if sticky is not None:
            sticky = noted(sticky, mark, count, failed)
        if route.reason != "default":
            decision = self._as_named(draft, route, sticky, (mark, count))
        elif asking.short or is_one_shot(draft.body, draft.max_tokens):
            decision = self._short(draft, route, asking)
        elif sticky is not None and self._may_stay(sticky):
            decision = self._kept(route, asking, sticky)
        else:
            decision = self._new(draft, route, asking, (mark, count))
        if decision.task_class == "one_shot":
            return decision  # beside the conversation, or all there is of it
        if asking.sticky is not None and asking.sticky.model != decision.route.model.id:
            decision.detail = {**decision.detail, "from": asking.sticky.model}
        decision.failed_results, decision.repeats = failed, repeats
        return decision

    def _as_named(
        self, draft: Draft, route: Route, sticky: Sticky | None, newest: tuple[str, int]
    ) -> Decision:
        """An explicit or retired name is not ours to choose for."""
        if sticky is not None and sticky.model == route.model.id:
            name, kept = sticky.task_class, sticky
        else:
            name = read_class(draft.body)
            kept = _sticky(draft, route.model, route.reason, name, newest)
        return Decision(route, kept, None, (route.reason,), name)

    def _short(self, draft: Draft, route: Route, asking: Asking) -> Decision:
        """A call nobody will continue; what is remembered of the conversation stays."""
        small = self.names.small or self.names.default
        choice = self._choose((small, self.names.default), "one_shot", 0.0, asking)
        reason = "short" if asking.short else _reason("one_shot", choice)
        kept = asking.sticky or _sticky(draft, choice.model, reason, "one_shot")
        reasons = (reason, f"success {choice.cheaper.mean:.2f}")
        return Decision(
            _routed(route, choice.model, reason),
            kept,
            None,
            reasons,
            "one_shot",
            effort="none",  # a short answer leaves no room for thinking
            detail=detail_of(choice),
        )

    def _may_stay(self, sticky: Sticky) -> bool:
        """True for a model names route to. What looked like a short call and goes on is none."""
        routed = (self.names.default.id, self.heavy.id)
        return sticky.model in routed and sticky.task_class != "one_shot"

    def _kept(self, route: Route, asking: Asking, sticky: Sticky) -> Decision:
        """The conversation's model, unless it fails there and a switch is worth its price."""
        if sticky.model == self.heavy.id:
            chosen = _routed(route, self.heavy, "sticky")
            return _decision(chosen, sticky, ("sticky", sticky.reason))
        default = self.names.default
        switch = None
        if sticky.strikes:
            switch = self.switch(sticky, asking)
        if switch is None or not switch.is_worth_it:
            struck = () if switch is None else (f"{switch.strikes} strikes",)
            chosen = _routed(route, default, "sticky")
            return _decision(chosen, sticky, ("sticky", sticky.reason, *struck))
        reasons = (
            "escalated",
            f"{switch.strikes} strikes",
            f"gain {switch.gain_usd:.2f} USD",
            f"price {switch.price_usd + switch.running_usd:.2f} USD",
        )
        risen = replace(sticky, model=self.heavy.id, reason="escalated", strikes=0)
        chosen = _routed(route, self.heavy, "escalated")
        return _decision(chosen, risen, reasons, detail={"switch": switch_detail(switch)})

    def switch(self, sticky: Sticky, asking: Asking) -> Switch:
        """What going from the default model to the heavy one would cost and bring now."""
        models = (self.names.default, self.heavy)
        of, project, name = self.outcomes.of, asking.project.id, sticky.task_class
        successes = (
            success(PRIOR_SUCCESS, of(project, name, models[0].id)),
            success(PRIOR_SUCCESS, of(project, name, models[1].id)),
        )
        return weigh_switch(sticky, models, successes, asking.cached_tokens)

    def _new(self, draft: Draft, route: Route, asking: Asking, newest: tuple[str, int]) -> Decision:
        """The first turn of a conversation."""
        features = read_features(draft.body)
        policy = asking.project.routing
        name = features.task_class
        if not policy.smart:
            heavy = wants_heavy(features)
            model = self.heavy if heavy else self.names.default
            kept = _sticky(draft, model, "rule", name, newest)
            return _decision(_routed(route, model, "rule"), kept, ("rule", name))
        score = score_of(features)
        choice = self._choose((self.names.default, self.heavy), name, score.value, asking)
        reason = _reason("score", choice)
        kept = _sticky(draft, choice.model, reason, name, newest)
        reasons = _reasons(reason, features, score, policy, choice)
        chosen = _routed(route, choice.model, reason)
        detail = detail_of(choice, score, policy.heavy_threshold)
        return _decision(chosen, kept, reasons, score.value, detail)

    def _choose(
        self, models: tuple[Model, Model], name: str, score: float, asking: Asking
    ) -> Choice:
        cheaper, dearer = models
        policy, project = asking.project.routing, asking.project.id
        if cheaper.id == dearer.id:
            weighed = Weighed(score, 1.0, guarded=True)
        else:
            is_short = name == "one_shot"
            threshold = ONE_SHOT_THRESHOLD if is_short else policy.heavy_threshold
            weighed = Weighed(score, threshold, guarded=name in GUARDED_CLASSES)
        return choose(
            (cheaper, self.outcomes.of(project, name, cheaper.id)),
            (dearer, self.outcomes.of(project, name, dearer.id)),
            weighed,
            asking.conversation,
        )


def apply_decision(draft: Draft, decision: Decision) -> None:
    """Give `draft` the conversation's effort and thinking where the client has said nothing.

    Changing either costs the prompt cache.
    """
    if draft.effort is not None or draft.thinking is not None:
        return
    draft.effort = decision.effort
    if decision.thinking in _KEPT_THINKING:
        draft.thinking = {"type": decision.thinking}


def _decision(
    route: Route,
    sticky: Sticky,
    reasons: tuple[str, ...],
    score: float | None = None,
    detail: JSONObject | None = None,
) -> Decision:
    """A decision about a conversation whose model is ours to choose."""
    return Decision(
        route,
        sticky,
        score,
        reasons,
        sticky.task_class,
        effort=sticky.effort,
        thinking=sticky.thinking,
        detail=detail or {},
    )


def _sticky(
    draft: Draft, model: Model, reason: str, task_class: str, newest: tuple[str, int] = ("", 0)
) -> Sticky:
    """What to remember of a choice; `newest` is the mark of the newest request and its messages."""
    thinking = draft.thinking.get("type") if draft.thinking is not None else None
    return Sticky(model.id, draft.effort, thinking, reason, task_class, *newest)


def _routed(route: Route, model: Model, reason: str) -> Route:
    """`route` with the model that was chosen for it."""
    warning = route.variant.shortcoming(model) if route.variant is not None else None
    return Route(model, route.source, reason, warning, route.variant)


def _reason(plain: str, choice: Choice) -> str:
    return plain if choice.how == "score" else choice.how


def _reasons(
    reason: str, features: TaskFeatures, score: Score, policy: RoutingPolicy, choice: Choice
) -> tuple[str, ...]:
    sign = ">=" if score.value >= policy.heavy_threshold else "<"
    reasons = [reason, f"{features.task_class} {score.value:.2f} {sign} {policy.heavy_threshold:g}"]
    if choice.how != "score":
        reasons.append(f"success {choice.cheaper.mean:.2f} against {choice.dearer.mean:.2f}")
    counted = {"file": features.files, "stack trace": features.traces, "tool": features.tools}
    reasons += [
        f"{count} {noun}{'s' if count > 1 else ''}" for noun, count in counted.items() if count
    ]
    return tuple(reasons)


def in_place_of(decision: Decision, model: Model) -> Decision:
    """The decision with another model, since the chosen one cannot be had just now.

    What is remembered of the conversation stays: it goes back as soon as it can.
    """
    route = replace(decision.route, model=model, reason="fallback")
    reasons = ("fallback", *decision.reasons)
    return replace(decision, route=route, reasons=reasons, effort=None, thinking=None)
