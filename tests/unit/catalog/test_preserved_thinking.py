"""Which models bind thinking to its conversation: the table and the simulator agree."""

import tomllib
from pathlib import Path

from gateway.catalog.models import Model, load_catalog

SIMULATED = Path(__file__).parents[3] / "simulator" / "models.toml"


def test_the_table_agrees_with_the_simulator() -> None:
    simulated = tomllib.loads(SIMULATED.read_text("utf-8"))
    default = simulated["defaults"]["preserved"]
    ours = {model.id: model.preserved_thinking for model in load_catalog().models.values()}
    theirs = {name: entry.get("preserved", default) for name, entry in simulated["models"].items()}
    assert {name: theirs[name] for name in ours if name in theirs} == {
        name: ours[name] for name in ours if name in theirs
    }
    assert any(ours.values())
    assert not all(ours.values())


def test_a_model_nobody_has_described_is_handled_with_care() -> None:
    assert Model(id="claude-new-6").preserved_thinking
