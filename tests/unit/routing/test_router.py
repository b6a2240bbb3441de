"""What a request's model is decided by: its name, its conversation, its work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ModelNotFoundError
from gateway.policies import RoutingPolicy
from gateway.protocols.shared.draft import Draft
from gateway.routing.outcomes import Counts
from gateway.routing.router import Asking, apply_decision
from gateway.routing.stickiness import STRIKES_TO_ESCALATE, Sticky
from gateway.wire import JSONObject
from tests.unit.routing.openings import OPENINGS
from tests.unit.routing.router_parts import (
    CATALOG,
    DEFAULT,
    HEAVY,
    SMALL,
    asking,
    called,
    chat,
    router,
)

INCIDENT = "Production is down since the deploy, find the root cause"
TITLE = "Generate a title for this conversation:\n"
FAILED = "error: no such file"

EXPLICIT = [
    "claude-haiku-5-5",
    "MYMODEL:claude-sonnet-5-5",
    "claude-opus-4-5",
    "claude-sonnet-4-0",
    "claude-fable-5-2-high",
]


@given(
    st.sampled_from(EXPLICIT),
    st.sampled_from([text for _, text in OPENINGS]),
    st.binary(min_size=16, max_size=16),
    st.sampled_from([None, Sticky(HEAVY.id, strikes=9), Sticky(DEFAULT.id, strikes=9)]),
    st.booleans(),
)
def test_explicit_models_are_always_respected(
    name: str, text: str, conversation: bytes, sticky: Sticky | None, smart: bool
) -> None:
    known = [("feature", model, Counts(0, 500)) for model in (DEFAULT.id, HEAVY.id, SMALL.id)]
    decided = router(known).decide(
        chat(text, model=name), asking(conversation, sticky, policy=RoutingPolicy(smart))
    )
    assert decided.route.model is router().names.resolve(name).model
    assert decided.reasons[0] == decided.route.reason in {"explicit", "retired"}


@pytest.mark.parametrize("name", ["auto", "MYMODEL:auto", "gpt-5.2", "o4-mini", "whatever"])
def test_other_names_are_routed_by_the_work(name: str) -> None:
    decided = router().decide(chat(INCIDENT, model=name), asking())
    assert decided.route.model is HEAVY
    assert decided.route.source == "custom"
    assert decided.task_class == "incident"
    assert decided.reasons[0] == "score"
    assert router().decide(chat("Add a flag", model=name), asking()).route.model is DEFAULT


def test_a_name_that_is_refused_stays_refused() -> None:
    with pytest.raises(ModelNotFoundError):
        router().decide(chat("hi", model="claude-sonet"), asking())


def test_words_behind_a_routed_name_go_with_the_chosen_model() -> None:
    route = router().decide(chat(INCIDENT, model="auto-high"), asking()).route
    assert route.model is HEAVY
    assert route.variant is not None
    assert route.variant.effort == "high"


def test_keywords_alone_decide_when_scoring_is_off() -> None:
    plain = RoutingPolicy(smart=False)
    decided = router().decide(chat(INCIDENT), asking(policy=plain))
    assert (decided.route.model, decided.reasons) == (HEAVY, ("rule", "incident"))
    assert decided.score is None
    assert router().decide(chat("Add a flag"), asking(policy=plain)).route.model is DEFAULT
    assert router().decide(chat(TITLE), asking(policy=plain)).route.model is SMALL


def test_a_conversation_keeps_its_model_whatever_is_said_later() -> None:
    first = router().decide(chat("Add a flag"), asking())
    later = chat("Add a flag", {"role": "assistant", "content": "done"}, INCIDENT)
    second = router().decide(later, asking(sticky=first.sticky))
    assert second.route.model is DEFAULT
    assert second.reasons == ("sticky", "score")
    assert second.task_class == first.task_class


def test_a_title_beside_a_conversation_changes_nothing_of_it() -> None:
    first = router().decide(chat(INCIDENT), asking())
    title = router().decide(chat(TITLE), asking(sticky=first.sticky))
    assert title.route.model is SMALL
    assert title.sticky.model == HEAVY.id
    assert title.task_class == "one_shot"
    back = chat(INCIDENT, {"role": "assistant", "content": "hm"}, "go on")
    assert router().decide(back, asking(sticky=title.sticky)).route.model is HEAVY


def test_what_looked_like_a_title_and_goes_on_is_decided_anew() -> None:
    first = router().decide(chat(TITLE), asking())
    more = chat(TITLE, {"role": "assistant", "content": "A title"}, INCIDENT)
    assert router().decide(more, asking(sticky=first.sticky)).route.model is HEAVY


def test_short_calls_of_their_own_endpoint_go_to_the_small_model() -> None:
    short = Asking(asking().project, b"c" * 16, short=True)
    decided = router().decide(chat(INCIDENT), short)
    assert decided.route.model is SMALL
    assert decided.reasons[0] == "short"
    explicit = router().decide(chat("def f(", model="claude-opus-5-5"), short)
    assert explicit.route.model is HEAVY


@given(st.binary(min_size=16, max_size=16), st.sampled_from([text for _, text in OPENINGS]))
def test_only_the_three_models_are_ever_chosen_and_always_alike(
    conversation: bytes, text: str
) -> None:
    known = [
        (name, model.id, Counts(3, 7))
        for name in ("feature", "debugging", "one_shot", "incident")
        for model in CATALOG.models.values()
    ]
    one = router(known).decide(chat(text), asking(conversation))
    other = router(known).decide(chat(text), asking(conversation))
    assert one == other
    assert one.route.model in (DEFAULT, HEAVY, SMALL)


def failing(turns: int, result: str = FAILED) -> list[str | JSONObject]:
    messages: list[str | JSONObject] = ["Fix the build"]
    for number in range(turns):
        messages += called(number, result)
    return messages


def run(turns: int, cached_tokens: int = 20_000, result: str = FAILED) -> list[str]:
    """The models of a conversation whose tool calls all end in `result`."""
    models, sticky = [], None
    for turn in range(turns):
        draft = chat(*failing(turn, result))
        decided = router().decide(draft, asking(sticky=sticky, cached_tokens=cached_tokens))
        sticky = decided.sticky
        models.append(decided.route.model.id)
    return models


def test_repeated_failures_take_a_conversation_up_and_it_stays_there() -> None:
    models = run(14)
    switch = models.index(HEAVY.id)
    assert switch >= STRIKES_TO_ESCALATE
    assert set(models[:switch]) == {DEFAULT.id}
    assert set(models[switch:]) == {HEAVY.id}


def test_a_switch_that_costs_more_than_it_brings_is_left() -> None:
    assert set(run(14, cached_tokens=400_000)) == {DEFAULT.id}


def test_results_that_do_not_fail_are_no_evidence() -> None:
    assert set(run(14, result="All 12 checks passed")) == {DEFAULT.id}


def test_the_same_request_again_is_evidence() -> None:
    draft = chat(
        "Fix the build", {"role": "assistant", "content": "done"}, "It still fails, fix it"
    )
    sticky, models = None, []
    for _ in range(5):
        decided = router().decide(draft, asking(sticky=sticky))
        models.append(decided.route.model.id)
        sticky = decided.sticky
    assert not router().decide(draft, asking()).repeats
    assert decided.repeats
    assert models == [DEFAULT.id] * 2 + [HEAVY.id] * 3


def test_the_switch_names_the_model_that_the_evidence_is_about() -> None:
    sticky = Sticky(DEFAULT.id, strikes=STRIKES_TO_ESCALATE, mark="x", messages=9)
    draft = chat(*failing(4))
    decided = router().decide(draft, asking(sticky=sticky))
    assert decided.reasons[0] == "escalated"
    assert decided.failed_results == 1
    assert decided.detail["from"] == DEFAULT.id
    assert decided.sticky.model == HEAVY.id


@given(
    st.lists(st.sampled_from(["ok", FAILED, "again"]), max_size=12),
    st.integers(0, 300_000),
)
def test_a_conversation_never_changes_without_strong_evidence(
    turns: list[str], cached_tokens: int
) -> None:
    messages: list[str | JSONObject] = ["Fix the build"]
    sticky, seen, strikes = None, DEFAULT.id, 0
    for number, turn in enumerate(["first", *turns]):
        if turn == "again":
            strikes += 2
        elif turn != "first":
            messages += called(number, turn)
            strikes = strikes + 1 if turn == FAILED else max(strikes - 1, 0)
        draft = chat(*messages)
        decided = router().decide(draft, asking(sticky=sticky, cached_tokens=cached_tokens))
        model = decided.route.model.id
        if model != seen:
            assert (seen, model) == (DEFAULT.id, HEAVY.id)
            assert strikes >= STRIKES_TO_ESCALATE
        seen, sticky = model, decided.sticky


def test_effort_and_thinking_stay_where_the_client_says_nothing() -> None:
    sticky = router().decide(chat("Add a flag", reasoning_effort="high"), asking()).sticky

    def second(sticky: Sticky, **fields: str) -> Draft:
        draft = chat("Add a flag", {"role": "assistant", "content": "ok"}, "more", **fields)
        apply_decision(draft, router().decide(draft, asking(sticky=sticky)))
        return draft

    assert second(sticky).effort == "high"
    assert second(sticky, reasoning_effort="low").effort == "low"
    assert second(sticky, model="claude-sonnet-5-5").effort is None
    assert second(Sticky(DEFAULT.id, thinking="disabled")).thinking == {"type": "disabled"}
    assert second(Sticky(DEFAULT.id, thinking="enabled")).thinking is None


def test_short_answers_are_given_without_thinking() -> None:
    first = router().decide(chat("Add a flag", reasoning_effort="high"), asking())
    draft = chat(TITLE)
    apply_decision(draft, router().decide(draft, asking(sticky=first.sticky)))
    assert draft.effort == "none"


def test_a_verdict_on_another_models_answer_names_it() -> None:
    sticky = Sticky(HEAVY.id, mark="x", messages=1)
    messages: list[str | JSONObject] = ["Fix the build", *called(1, FAILED)]
    decided = router().decide(chat(*messages, model="claude-haiku-5-5"), asking(sticky=sticky))
    assert decided.failed_results == 1
    assert decided.detail["from"] == HEAVY.id
    assert decided.sticky.model == SMALL.id


@pytest.mark.parametrize(
    "sticky", [Sticky("m"), Sticky("m", "high", "adaptive", "rule", "docs", "ab", 3, 2)]
)
def test_what_is_remembered_survives_as_json(sticky: Sticky) -> None:
    assert Sticky.from_dict(sticky.to_dict()) == sticky
    assert Sticky.from_dict({**sticky.to_dict(), "model": 1}) is None
    assert Sticky.from_dict({"model": "m"}) is None
