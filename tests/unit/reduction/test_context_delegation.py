"""What is left to the API, for which models, and that the API takes it."""

from typing import Any

import pytest

from gateway.catalog.models import Model, load_catalog
from gateway.policies import ContextPolicy
from gateway.protocols.shared.digests import BlockDigests
from gateway.reduction.context_delegation import (
    CLEARING_BETA,
    COMPACTION_BETA,
    Summaries,
    delegated,
    is_delegated,
)
from simulator.models import load_catalogue
from simulator.validation.request import RequestChecks
from tests.unit.reduction.conversations import user

MODELS = load_catalog().models
BODY: dict[str, Any] = {"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": [user("a")]}
CLEAR = ContextPolicy(40_000, "anthropic_clear")
COMPACT = ContextPolicy(40_000, "anthropic_compact")


def sent(body: Any, policy: ContextPolicy, model: Model) -> tuple[Any, str | None]:
    """What is delegated of a body, by what is in its messages."""
    has_summary = BlockDigests().walk(body["messages"], Summaries()).found
    return delegated(body, policy, model, has_summary=has_summary)


def test_clearing_begins_at_the_limit_and_not_for_little() -> None:
    body, beta = sent(BODY, CLEAR, MODELS["claude-sonnet-5-5"])
    assert beta == CLEARING_BETA
    (edit,) = body["context_management"]["edits"]
    assert edit["trigger"] == {"type": "input_tokens", "value": 40_000}
    assert edit["clear_at_least"] == {"type": "input_tokens", "value": 10_000}
    assert "context_management" not in BODY


def test_compaction_keeps_to_the_least_trigger_of_the_api() -> None:
    body, beta = sent(BODY, COMPACT, MODELS["claude-sonnet-5-5"])
    assert beta == COMPACTION_BETA
    (edit,) = body["context_management"]["edits"]
    assert edit["trigger"] == {"type": "input_tokens", "value": 50_000}


@pytest.mark.parametrize(
    ("policy", "model"),
    [
        (COMPACT, MODELS["claude-haiku-4-5"]),
        (CLEAR, Model("claude-of-another-host")),
        (ContextPolicy(40_000, "extract"), MODELS["claude-sonnet-5-5"]),
        (ContextPolicy(0, "anthropic_clear"), MODELS["claude-sonnet-5-5"]),
    ],
)
def test_the_rest_is_not_delegated(policy: ContextPolicy, model: Model) -> None:
    assert not is_delegated(policy, model)
    assert sent(BODY, policy, model) == (BODY, None)


def test_a_client_that_edits_by_itself_is_left_alone() -> None:
    body = {**BODY, "context_management": {"edits": []}}
    assert sent(body, CLEAR, MODELS["claude-sonnet-5-5"]) == (body, None)


def test_a_summary_in_the_messages_keeps_its_header_when_the_policy_has_changed() -> None:
    summary = {"type": "compaction", "content": "so far", "encrypted_content": "x"}
    said = {"role": "assistant", "content": [summary, {"type": "text", "text": "b"}]}
    body = {**BODY, "messages": [user("a"), said, user("c")]}
    off = ContextPolicy()
    assert sent(body, off, MODELS["claude-sonnet-5-5"]) == (body, COMPACTION_BETA)
    assert sent(body, off, MODELS["claude-haiku-4-5"]) == (body, None)


@pytest.mark.parametrize("policy", [CLEAR, COMPACT])
def test_the_upstream_takes_it_on_every_model_that_is_said_to_have_it(
    policy: ContextPolicy,
) -> None:
    checks = RequestChecks(load_catalogue())
    for model in MODELS.values():
        body, beta = sent({**BODY, "model": model.id}, policy, model)
        headers = {"anthropic-version": "2023-06-01"}
        if beta is not None:
            checks.check(body, {**headers, "anthropic-beta": beta})  # raises what it refuses
        else:
            assert policy is COMPACT
            assert not load_catalogue().resolve(model.id).compaction
