"""The models: what each accepts, and the Models API answers.

The facts are in `models.toml`. Shapes follow `ModelInfo` and `ModelCapabilities` of the anthropic
package 2.12.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from simulator.errors import ApiError
from simulator.wire import Json, JsonValue

THINKING_TYPES = ("adaptive", "between_tools", "disabled", "enabled")
EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class Model:
    """What one model accepts; the fields are explained in `models.toml`."""

    id: str
    name: str
    line: str
    created: str
    context: int
    output: int
    cache_minimum: int
    image_cap: int
    token_scale: float
    thinking: tuple[str, ...]
    default_thinking: str
    always_thinks: bool
    display: str
    preserved: bool
    account_bound: bool
    efforts: tuple[str, ...]
    default_effort: str
    forced_tools: bool
    sampling: bool
    prefill: bool
    inline_system: bool
    notes_in_thinking: bool
    structured_outputs: bool
    fast_mode: bool
    compaction: bool
    lifecycle: str
    off_efforts: tuple[str, ...] | None = None
    deprecated: str | None = None
    retires: str | None = None

    def info(self) -> Json:
        """The `ModelInfo` object."""
        return {
            "type": "model",
            "id": self.id,
            "display_name": self.name,
            "created_at": self.created,
            "line": self.line,
            "lifecycle": self.lifecycle,
            "deprecated_at": self.deprecated,
            "retires_at": self.retires,
            "max_input_tokens": self.context,
            "max_tokens": self.output,
            "capabilities": self.capabilities(),
        }

    def capabilities(self) -> Json:
        """The `ModelCapabilities` object."""
        yes: Json = {"supported": True}
        return {
            "batch": yes,
            "citations": yes,
            "code_execution": yes,
            "context_management": {
                "supported": True,
                "clear_thinking_20251015": yes,
                "clear_tool_uses_20250919": yes,
                "compact_20260112": {"supported": self.compaction},
            },
            "effort": {"supported": bool(self.efforts), **_supported(EFFORTS, self.efforts)},
            "image_input": yes,
            "pdf_input": yes,
            "server_tools": {"supported": True, "code_execution": yes, "web_search": yes},
            "structured_outputs": {"supported": self.structured_outputs},
            "thinking": {"supported": True, "types": _supported(THINKING_TYPES, self.thinking)},
        }


def _supported(names: Iterable[str], accepted: Iterable[str]) -> Json:
    known = frozenset(accepted)
    return {name: {"supported": name in known} for name in names}


class Catalogue:
    """All models by id and alias, newest first, and the retired ones."""

    def __init__(self, table: Mapping[str, JsonValue]) -> None:
        """Takes the decoded `models.toml`."""
        self._models: dict[str, Model] = {}
        self._aliases: dict[str, str] = {}
        defaults = table["defaults"]
        for model_id, row in table["models"].items():
            self._add(model_id, {**defaults, **row})
        retired = set(table["retired"])
        for model_id, row in table["retired"].items():
            self._add(model_id, {**defaults, **row, "lifecycle": "retired"})
        self.retired = frozenset(retired)

    def _add(self, model_id: str, row: Json) -> None:
        known = {item.name for item in fields(Model)}
        values: Json = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in row.items()
            if key in known
        }
        self._models[model_id] = Model(id=model_id, **values)
        for alias in row.get("aliases", ()):
            self._aliases[alias] = model_id

    def resolve(self, name: str) -> Model:
        """The model of an id or alias; 404 in the API's words when unknown or retired."""
        model = self._models.get(self._aliases.get(name, name))
        if model is None or model.lifecycle == "retired":
            raise ApiError(404, f"model: {name}")
        return model

    def find(self, name: str) -> Model:
        """As `resolve`, with retired models too: the Models API keeps them on record."""
        model = self._models.get(self._aliases.get(name, name))
        if model is None:
            raise ApiError(404, f"model: {name}")
        return model

    def listing(self, lifecycles: Iterable[str]) -> list[Model]:
        """Models in these lifecycle stages, newest first."""
        wanted = frozenset(lifecycles)
        return [model for model in self._models.values() if model.lifecycle in wanted]


def load_catalogue() -> Catalogue:
    """The catalogue of the packaged data file."""
    path = Path(__file__).with_name("models.toml")
    return Catalogue(tomllib.loads(path.read_text(encoding="utf-8")))
