"""From the name a client asks for to the model that serves it."""

import pytest

from gateway.catalog.models import load_catalog
from gateway.errors import ModelNotFoundError
from gateway.routing.names import ModelNames

CATALOG = load_catalog()
DEFAULT = CATALOG.models["claude-sonnet-5-5"]
NAMES = ModelNames(CATALOG, DEFAULT, "MYMODEL:", reject_unknown=False)
STRICT = ModelNames(CATALOG, DEFAULT, "MYMODEL:", reject_unknown=True)


@pytest.mark.parametrize(
    ("asked", "served", "source"),
    [
        ("claude-opus-5-5", "claude-opus-5-5", "anthropic"),
        ("anthropic/claude-opus-5-5", "claude-opus-5-5", "anthropic"),
        ("claude-opus-4-5-20251101", "claude-opus-4-5", "anthropic"),
        ("MYMODEL:claude-opus-5-5", "claude-opus-5-5", "custom"),
        ("mymodel:claude-opus-5-5", "claude-opus-5-5", "custom"),
        ("auto", "claude-sonnet-5-5", "custom"),
        ("MYMODEL:auto", "claude-sonnet-5-5", "custom"),
        ("gpt-5.2", "claude-sonnet-5-5", "custom"),
        ("o4-mini", "claude-sonnet-5-5", "custom"),
        ("whatever", "claude-sonnet-5-5", "custom"),
        ("claude-sonnet-4-0", "claude-sonnet-5-5", "custom"),
        ("claude-opus-4-1", "claude-opus-5-5", "custom"),
    ],
)
def test_names_resolve(asked: str, served: str, source: str) -> None:
    route = NAMES.resolve(asked)
    assert (route.model.id, route.source) == (served, source)


def test_p04_prefixed_names_are_listed_beside_the_plain_ones() -> None:
    listed = [name for name, _ in NAMES.listed()]
    assert {"auto", "MYMODEL:auto", "claude-opus-5-5", "MYMODEL:claude-opus-5-5"} <= set(listed)
    assert len(listed) == len(set(listed))
    for name, model in NAMES.listed():
        assert NAMES.resolve(name).model is model


def test_a_retired_name_is_served_with_a_warning() -> None:
    warning = NAMES.resolve("claude-sonnet-4-0").warning
    assert warning is not None
    assert "claude-sonnet-5-5" in warning
    assert NAMES.resolve("claude-sonnet-5-5").warning is None


@pytest.mark.parametrize("asked", ["claude-sonet-5-5", "MYMODEL:claude-opus-55", "claude"])
def test_a_mistyped_claude_name_is_answered_with_the_nearest(asked: str) -> None:
    with pytest.raises(ModelNotFoundError, match="claude-") as caught:
        NAMES.resolve(asked)
    assert caught.value.param == "model"


def test_unknown_names_can_be_refused() -> None:
    with pytest.raises(ModelNotFoundError):
        STRICT.resolve("whatever")
    assert STRICT.resolve("auto").model is DEFAULT
    assert STRICT.resolve("gpt-5.2").model is DEFAULT
