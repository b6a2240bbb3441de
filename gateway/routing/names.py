"""From the model name a client asks for to the model that serves it."""

import re

from gateway.catalog.models import Catalog, Model
from gateway.errors import ModelNotFoundError
from gateway.routing.variants import Variant, readings
from gateway.structs import Struct, replace

AUTO = "auto"
"""The name that always routes."""

_OPENAI_NAME = re.compile(r"(gpt-|chatgpt-|o[0-9]|codex-|davinci|text-)")


class Route(Struct, frozen=True):
    """The model that serves a request, and how its name was read.

    `source` is `anthropic` for an explicit id and `custom` for a prefixed, alias or routed name;
    `warning` is a sentence for the client about a retired name or a wish that cannot be granted;
    `variant` is what words behind the name ask for.
    """

    model: Model
    source: str
    reason: str
    warning: str | None = None
    variant: Variant | None = None


class ModelNames(Struct, frozen=True):
    """Resolves names: prefix stripped, ids respected, retired ones replaced, the rest routed.

    `reject_unknown` answers names nobody knows with ModelNotFoundError instead of routing them.
    `small` serves routed names of short calls, such as a completion while somebody types.
    """

    catalog: Catalog
    default: Model
    prefix: str
    reject_unknown: bool
    small: Model | None = None

    def resolve(self, asked: str, *, short: bool = False) -> Route:
        """The route for a client's model name. Raises ModelNotFoundError."""
        name = asked.strip()
        prefixed = bool(self.prefix) and name.lower().startswith(self.prefix.lower())
        if prefixed:
            name = name[len(self.prefix) :]
        name = name.removeprefix("anthropic/")
        routed = (self.small if short else None) or self.default
        route = self._known(name, routed) or self._variant(name, routed)
        if route is not None:
            return replace(route, source="custom") if prefixed else route
        if name.startswith("claude"):
            raise self._not_found(asked, name)
        if self.reject_unknown and not _OPENAI_NAME.match(name):
            raise self._not_found(asked, name)
        return Route(routed, "custom", "default")

    def _known(self, name: str, routed: Model) -> Route | None:
        if (model := self.catalog.find(name)) is not None:
            return Route(model, "anthropic", "explicit")
        if (model := self.catalog.successor(name)) is not None:
            return Route(model, "custom", "retired", f"{name} is retired; served by {model.id}")
        return Route(routed, "custom", "default") if name == AUTO else None

    def _variant(self, name: str, routed: Model) -> Route | None:
        """The route of a known name with words behind it, the longest known name first."""
        for base, variant in readings(name):
            route = self._known(base, routed)
            if route is not None:
                warning = route.warning or variant.shortcoming(route.model)
                return replace(route, source="custom", warning=warning, variant=variant)
        return None

    def listed(self) -> list[tuple[str, Model]]:
        """The names to show in a model list: `auto`, ids, and both again with the prefix."""
        plain = [(AUTO, self.default)]
        plain += [(model.id, model) for model in self.catalog.models.values()]
        return plain + [(self.prefix + name, model) for name, model in plain]

    def _not_found(self, asked: str, name: str) -> ModelNotFoundError:
        nearest = self.catalog.nearest(name)
        hint = f"; did you mean {', '.join(nearest)}?" if nearest else ""
        return ModelNotFoundError(f"the model {asked[:200]!r} does not exist{hint}", param="model")
