"""The model table and its overrides."""

from pathlib import Path

import pytest

from gateway.catalog.models import EFFORTS, load_catalog

CATALOG = load_catalog()


@pytest.mark.parametrize("model", CATALOG.models.values(), ids=lambda model: model.id)
def test_every_model_is_coherent(model) -> None:  # type: ignore[no-untyped-def]
    assert 0 < model.max_output_tokens < model.context_tokens
    assert set(model.efforts) <= set(EFFORTS)
    assert (model.default_effort in model.efforts) == bool(model.efforts)
    assert set(model.thinking) <= {"adaptive", "enabled", "between_tools", "disabled"}
    assert model.thinking
    if model.price is not None:
        assert model.price.cache_read < model.price.input < model.price.cache_write_5m
        assert model.price.cache_write_5m < model.price.cache_write_1h
    assert bool(model.long_prompt_tokens) == (model.long_prompt_price is not None)


@pytest.mark.parametrize("name", ["claude-sonnet-4-0", "claude-sonnet-4-20250514"])
def test_retired_names_have_a_living_successor(name: str) -> None:
    assert CATALOG.find(name) is None
    successor = CATALOG.successor(name)
    assert successor is not None
    assert successor.id == "claude-sonnet-5-5"


def test_dated_ids_are_the_model() -> None:
    assert CATALOG.find("claude-haiku-4-5-20251001") is CATALOG.find("claude-haiku-4-5")


def test_the_price_steps_up_for_long_prompts() -> None:
    haiku = CATALOG.models["claude-haiku-5-5"]
    assert haiku.price_for(100_000) is haiku.price
    assert haiku.price_for(100_001) is haiku.long_prompt_price


def test_models_that_cannot_stop_thinking_are_known() -> None:
    thinking = {model.id for model in CATALOG.models.values() if model.always_thinks}
    assert {"claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-2"} <= thinking
    assert not thinking & {"claude-haiku-5-5", "claude-opus-5", "claude-opus-4-8"}


def test_overrides_are_laid_over_the_table(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    file.write_text(
        "[[model]]\nid = 'claude-opus-5-5'\nmax_output_tokens = 1000\n"
        "[[model]]\nid = 'claude-next'\nthinking = ['adaptive']\n"
        "[retired]\n'claude-old' = 'claude-next'\n",
        "utf-8",
    )
    catalog = load_catalog(file)
    assert catalog.models["claude-opus-5-5"].max_output_tokens == 1000
    assert catalog.models["claude-opus-5-5"].price == CATALOG.models["claude-opus-5-5"].price
    assert catalog.models["claude-next"].price is None
    successor = catalog.successor("claude-old")
    assert successor is not None
    assert successor.family == "next"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[model]]\nname = 'x'\n", "needs an id"),
        ("[[model]]\nid = 'x'\nunknown = 1\n", "model x"),
        ("[retired]\n'a' = 'b'\n", "successor b"),
        ("[[model\n", "cannot be read: Expected"),
        ("model = 3", "model must be a list"),
        ("retired = 3", "retired must be a table"),
    ],
)
def test_a_wrong_override_is_named(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=says):
        load_catalog(file)
