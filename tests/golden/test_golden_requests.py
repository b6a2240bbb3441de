"""Client requests against the exact bytes that go to Claude's API; see requests/README.md."""

from pathlib import Path

import pytest

from gateway import wire
from gateway.catalog.models import load_catalog
from gateway.protocols.model_fit import FitOptions, fit_to_model
from gateway.protocols.openai_chat import translate
from tests.unit.protocols.messages_rules import broken_rules

FOLDER = Path(__file__).parent / "requests"
CASES = sorted(FOLDER.glob("*.upstream.json"))
CATALOG = load_catalog()
OPTIONS = FitOptions(thinking_reserve_tokens=4096, show_reasoning=True)


def upstream_body(expected: Path) -> bytes:
    """The bytes the request of that expectation is translated to now."""
    case, model_id, *_ = expected.name.split(".")
    model = CATALOG.models[model_id]
    request = wire.loads_object((FOLDER / f"{case}.request.json").read_bytes())
    body = fit_to_model(translate(request), model, OPTIONS).body
    assert broken_rules(body, model) == []
    return wire.dumps(body)


@pytest.mark.parametrize(
    "expected", CASES, ids=lambda path: path.name.removesuffix(".upstream.json")
)
def test_request_gives_exactly_these_bytes(expected: Path) -> None:
    assert upstream_body(expected) + b"\n" == expected.read_bytes()


def test_every_request_is_checked_with_a_model() -> None:
    requests = {path.name.split(".")[0] for path in FOLDER.glob("*.request.json")}
    assert requests == {path.name.split(".")[0] for path in CASES}
