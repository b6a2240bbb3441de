"""Words behind a model's name: which names they are taken from, and what they ask for."""

import pytest

from gateway.catalog.models import Catalog, load_catalog
from gateway.errors import ModelNotFoundError
from gateway.protocols.model_fit import FitOptions, fit_to_model
from gateway.protocols.openai_chat import translate
from gateway.routing.names import ModelNames
from gateway.routing.variants import Variant, apply_variant, readings
from gateway.structs import replace

CATALOG = load_catalog()
DEFAULT = CATALOG.models["claude-sonnet-5-5"]
SMALL = CATALOG.models["claude-haiku-5-5"]
NAMES = ModelNames(CATALOG, DEFAULT, "MYMODEL:", reject_unknown=False, small=SMALL)
OPTIONS = FitOptions(thinking_reserve_tokens=4096, show_reasoning=True, fast_mode=True)


def ask(model: str, **fields: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}


@pytest.mark.parametrize(
    ("asked", "served", "variant"),
    [
        ("claude-opus-5-5-thinking", "claude-opus-5-5", Variant(thinking=True)),
        ("claude-opus-5-5-thinking-high", "claude-opus-5-5", Variant(thinking=True, effort="high")),
        ("claude-opus-5-5-high-thinking", "claude-opus-5-5", Variant(thinking=True, effort="high")),
        ("claude-opus-5-5-max", "claude-opus-5-5", Variant(effort="max")),
        ("claude-opus-5-5-xhigh-fast", "claude-opus-5-5", Variant(effort="xhigh", fast=True)),
        ("claude-sonnet-5-5-1m", "claude-sonnet-5-5", Variant(wide=True)),
        ("claude-sonnet-5-5[1m]", "claude-sonnet-5-5", Variant(wide=True)),
        ("anthropic/claude-sonnet-5-5-low", "claude-sonnet-5-5", Variant(effort="low")),
        (
            "claude-sonnet-5-5-thinking-medium-1m-fast",
            "claude-sonnet-5-5",
            Variant(thinking=True, effort="medium", wide=True, fast=True),
        ),
        ("MYMODEL:claude-opus-5-5-low", "claude-opus-5-5", Variant(effort="low")),
        ("MYMODEL:auto-thinking-max", "claude-sonnet-5-5", Variant(thinking=True, effort="max")),
        ("auto-high", "claude-sonnet-5-5", Variant(effort="high")),
        ("claude-haiku-4-5-20251001-thinking", "claude-haiku-4-5", Variant(thinking=True)),
        ("claude-3-7-sonnet-latest-thinking", "claude-sonnet-5-5", Variant(thinking=True)),
    ],
)
def test_words_are_taken_off_known_names(asked: str, served: str, variant: Variant) -> None:
    route = NAMES.resolve(asked)
    assert (route.model.id, route.variant, route.source) == (served, variant, "custom")


@pytest.mark.parametrize("asked", ["gpt-5.1-codex-max", "o3-mini-high", "my-model-fast", "auto"])
def test_names_nobody_knows_keep_their_words(asked: str) -> None:
    assert NAMES.resolve(asked).variant is None


@pytest.mark.parametrize(
    "asked",
    ["claude-opus-5-5-high-low", "claude-opus-5-5-1m-1m", "claude-opus-5-5-huge", "claude-max"],
)
def test_words_that_make_no_sense_are_a_typing_error(asked: str) -> None:
    with pytest.raises(ModelNotFoundError):
        NAMES.resolve(asked)


def test_an_id_that_ends_in_such_a_word_wins() -> None:
    model = replace(DEFAULT, id="claude-sonnet-5-5-max")
    by_name = {**CATALOG.by_name, model.id: model}
    catalog = Catalog({**CATALOG.models, model.id: model}, {}, "", "", by_name)
    names = ModelNames(catalog, DEFAULT, "", reject_unknown=True)
    plain, thinking = names.resolve(model.id), names.resolve(f"{model.id}-thinking")
    assert (plain.model.id, plain.variant, plain.source) == (model.id, None, "anthropic")
    assert (thinking.model.id, thinking.variant) == (model.id, Variant(thinking=True))


def test_a_window_that_is_not_there_is_told() -> None:
    warning = NAMES.resolve("claude-haiku-4-5-1m").warning
    assert warning is not None
    assert "200000" in warning
    assert NAMES.resolve("claude-sonnet-5-5-1m").warning is None


def test_the_retired_base_of_a_variant_is_told() -> None:
    assert "retired" in str(NAMES.resolve("claude-opus-4-1-high").warning)


def test_short_calls_that_name_no_model_go_to_the_small_one() -> None:
    assert NAMES.resolve("auto", short=True).model is SMALL
    assert NAMES.resolve("gpt-3.5-turbo-instruct", short=True).model is SMALL
    assert NAMES.resolve("auto-low", short=True).model is SMALL
    assert NAMES.resolve("claude-opus-5-5", short=True).model.id == "claude-opus-5-5"
    assert NAMES.resolve("auto").model is DEFAULT


def test_readings_end_at_the_first_word_that_asks_for_nothing() -> None:
    assert list(readings("a-b-high")) == [("a-b", Variant(effort="high"))]
    assert list(readings("high")) == []
    assert list(readings("-high")) == []
    assert list(readings("")) == []


def upstream_body(asked: str, **fields: object) -> dict[str, object]:
    draft = translate(ask(asked, **fields))
    route = NAMES.resolve(asked)
    apply_variant(draft, route.variant)
    return fit_to_model(draft, route.model, OPTIONS).body


def test_the_effort_of_the_name_is_sent() -> None:
    assert upstream_body("claude-opus-5-5-thinking-xhigh")["output_config"] == {"effort": "xhigh"}
    assert upstream_body("claude-opus-4-8-high")["thinking"] == {
        "type": "adaptive",
        "display": "summarized",
    }
    budget = upstream_body("claude-haiku-4-5-thinking-low")["thinking"]
    assert isinstance(budget, dict)
    assert (budget["type"], budget["budget_tokens"]) == ("enabled", 2048)


def test_the_effort_of_the_body_wins() -> None:
    body = upstream_body("claude-opus-5-5-max", reasoning_effort="low")
    assert body["output_config"] == {"effort": "low"}
    own = {"type": "disabled"}
    assert upstream_body("claude-haiku-5-5-thinking-max", thinking=own)["thinking"] == own


def test_fast_is_the_speed_of_models_that_have_it() -> None:
    assert upstream_body("claude-opus-5-5-fast")["speed"] == "fast"
    assert "speed" not in upstream_body("claude-sonnet-5-5-fast")


def test_a_variant_is_shown_in_words() -> None:
    variant = Variant(thinking=True, effort="high", wide=True, fast=True)
    assert variant.shown() == "effort=high, thinking, 1m, fast"
