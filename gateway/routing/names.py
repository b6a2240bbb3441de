"""From the model name a client asks for to the model that serves it."""

import re
from dataclasses import dataclass

from gateway.catalog.models import Catalog, Model
from gateway.errors import ModelNotFoundError

AUTO = "auto"
"""The name that always routes."""

_OPENAI_NAME = re.compile(r"(gpt-|chatgpt-|o[0-9]|codex-|davinci|text-)")


@dataclass(frozen=True, slots=True)
class Route:
    """The model that serves a request, and how its name was read.

    `source` is `anthropic` for an explicit id and `custom` for a prefixed, alias or routed name;
    `warning` is a sentence for the client about a retired name.
    """

    model: Model
    source: str
    reason: str
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class ModelNames:
    """Resolves names: prefix stripped, ids respected, retired ones replaced, the rest routed.

    `reject_unknown` answers names nobody knows with ModelNotFoundError instead of routing them.
    """

    catalog: Catalog
    default: Model
    prefix: str
    reject_unknown: bool

    def resolve(self, asked: str) -> Route:
        """The route for a client's model name. Raises ModelNotFoundError."""
        name = asked.strip()
        prefixed = name.lower().startswith(self.prefix.lower())
        if prefixed:
            name = name[len(self.prefix) :]
        name = name.removeprefix("anthropic/")
        if (model := self.catalog.find(name)) is not None:
            return Route(model, "custom" if prefixed else "anthropic", "explicit")
        if (model := self.catalog.successor(name)) is not None:
            return Route(model, "custom", "retired", f"{name} is retired; served by {model.id}")
        if name.startswith("claude"):
            raise self._not_found(asked, name)
        if self.reject_unknown and name != AUTO and not _OPENAI_NAME.match(name):
            raise self._not_found(asked, name)
        return Route(self.default, "custom", "default")

    def listed(self) -> list[tuple[str, Model]]:
        """The names to show in a model list: `auto`, ids, and both again with the prefix."""
        plain = [(AUTO, self.default)]
        plain += [(model.id, model) for model in self.catalog.models.values()]
        return plain + [(self.prefix + name, model) for name, model in plain]

    def _not_found(self, asked: str, name: str) -> ModelNotFoundError:
        nearest = self.catalog.nearest(name)
        hint = f"; did you mean {', '.join(nearest)}?" if nearest else ""
        return ModelNotFoundError(f"the model {asked[:200]!r} does not exist{hint}", param="model")
