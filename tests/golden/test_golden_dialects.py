"""Dialects of the chat endpoint against the exact bytes that go to Claude's API."""

import os
from pathlib import Path

import pytest

from gateway import wire
from gateway.catalog.models import load_catalog
from gateway.protocols.chat_dialects import translate
from gateway.protocols.model_fit import FitOptions, fit_to_model
from tests.unit.protocols.messages_rules import broken_rules

FOLDER = Path(__file__).parent / "dialects"
CASES = sorted(FOLDER.glob("*.upstream.json"))
CATALOG = load_catalog()
OPTIONS = FitOptions(thinking_reserve_tokens=4096, show_reasoning=True)


@pytest.mark.parametrize(
    "expected", CASES, ids=lambda path: path.name.removesuffix(".upstream.json")
)
def test_p02_p03_a_dialect_gives_exactly_these_bytes(expected: Path) -> None:
    case, model_id, *_ = expected.name.split(".")
    model = CATALOG.models[model_id]
    request = wire.loads_object((FOLDER / f"{case}.request.json").read_bytes())
    body = fit_to_model(translate(request), model, OPTIONS).body
    assert broken_rules(body, model) == []
    actual = wire.dumps(body) + b"\n"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_bytes(actual)
    assert actual == expected.read_bytes()


def test_every_dialect_is_checked_with_a_model() -> None:
    requests = {path.name.split(".")[0] for path in FOLDER.glob("*.request.json")}
    assert requests == {path.name.split(".")[0] for path in CASES}
    assert len(requests) >= 7
