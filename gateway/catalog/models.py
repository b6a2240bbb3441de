"""The model table, read from `models.toml` and an optional file of overrides."""

import difflib
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from gateway.config.tables import read_table
from gateway.structs import Struct, field

EFFORTS = ("low", "medium", "high", "xhigh", "max")
"""Effort levels of `output_config.effort`, weakest first."""


class Price(Struct, frozen=True):
    """US dollars per million tokens."""

    input: float
    output: float
    cache_read: float
    cache_write_5m: float
    cache_write_1h: float


class Model(Struct, frozen=True):
    """One model: what it accepts, what it costs, how long it lives.

    `thinking` are the accepted `thinking.type` values; `thinks_by_default` is what happens when the
    field is left out; thinking `disabled` or `between_tools` goes with efforts up to `high` only.
    `preserved_thinking`: thinking is bound to the conversation it was made in and is refused in any
    other; assumed of a model nobody has told about, because that is always safe.
    `context_editing`: the API can clear old tool results itself; `compaction`: it can summarise.
    `created` is the Unix time of release, 0 when not published. `price` is None when nobody has
    told what the model costs.
    """

    id: str
    context_tokens: int = 1_000_000
    max_output_tokens: int = 128_000
    thinking: tuple[str, ...] = ()
    thinks_by_default: bool = False
    preserved_thinking: bool = True
    efforts: tuple[str, ...] = ()
    default_effort: str | None = None
    forced_tool_choice: bool = False
    sampling: bool = False
    prefill: bool = False
    system_messages: bool = False
    structured_output: bool = True
    fast_mode: bool = False
    context_editing: bool = False
    compaction: bool = False
    cache_minimum_tokens: int = 1024
    price: Price | None = None
    long_prompt_price: Price | None = None
    long_prompt_tokens: int = 0
    restricted: bool = False
    deprecated: bool = False
    retires_on: str | None = None
    created: int = 0
    display_name: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The model class: `opus`, `sonnet`, `haiku`, ...; the word after `claude-`."""
        return self.id.removeprefix("claude-").partition("-")[0]

    @property
    def always_thinks(self) -> bool:
        """True when no accepted setting makes the model answer without any thinking."""
        return self.thinks_by_default and "disabled" not in self.thinking

    def price_for(self, prompt_tokens: int) -> Price | None:
        """The price of a request whose whole prompt has that many tokens."""
        if self.long_prompt_price is not None and prompt_tokens > self.long_prompt_tokens:
            return self.long_prompt_price
        return self.price


class Catalog(Struct, frozen=True):
    """All models by id and alias, and the successors of retired ones."""

    models: dict[str, Model]
    successors: dict[str, str]
    source: str
    collected_on: str
    by_name: dict[str, Model] = field(default_factory=dict)

    def find(self, name: str) -> Model | None:
        """The model of that id or dated alias, None when unknown or retired."""
        return self.by_name.get(name)

    def successor(self, name: str) -> Model | None:
        """The model that replaces a retired one, None when `name` is not retired."""
        replacement = self.successors.get(name)
        return self.models[replacement] if replacement is not None else None

    def nearest(self, name: str, count: int = 3) -> list[str]:
        """Ids that look like `name`, best first, for error messages."""
        return difflib.get_close_matches(name, list(self.by_name), n=count, cutoff=0.3)


def load_catalog(overrides: Path | None = None) -> Catalog:
    """The packaged table with `overrides` (same format) laid over it, model by model.

    Raises ValueError with the entry that is wrong.
    """
    packaged = resources.files("gateway.catalog").joinpath("models.toml").read_text("utf-8")
    table = tomllib.loads(packaged)
    if overrides is not None:
        table = _merge(table, read_table(overrides))
    models = {entry["id"]: _model(entry) for entry in table["model"]}
    by_name = dict(models)
    for model in models.values():
        by_name.update(dict.fromkeys(model.aliases, model))
    successors = dict(table["retired"])
    for retired, replacement in successors.items():
        if replacement not in models:
            raise ValueError(f"retired.{retired}: its successor {replacement} is not in the table")
    return Catalog(models, successors, table["source"], table["collected_on"], by_name)


def _merge(table: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    entries = {entry["id"]: entry for entry in table["model"]}
    models, retired = overrides.get("model", []), overrides.get("retired", {})
    if not isinstance(models, list) or not all(isinstance(entry, dict) for entry in models):
        raise ValueError("model must be a list of tables")
    if not isinstance(retired, dict) or not all(isinstance(to, str) for to in retired.values()):
        raise ValueError("retired must be a table of names")
    for entry in models:
        if not isinstance(entry.get("id"), str):
            raise ValueError("every [[model]] needs an id")
        entries[entry["id"]] = {**entries.get(entry["id"], {}), **entry}
    return {
        **table,
        "model": list(entries.values()),
        "retired": {**table["retired"], **retired},
    }


def _model(entry: dict[str, Any]) -> Model:
    values = dict(entry)
    try:
        for key in ("price", "long_prompt_price"):
            if key in values:
                values[key] = Price(**values[key])
        for key in ("thinking", "efforts", "aliases"):
            if key in values:
                values[key] = tuple(values[key])
        return Model(**values)
    except TypeError as error:
        raise ValueError(f"model {entry['id']}: {error}") from error
