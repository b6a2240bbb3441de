"""The queue of scripted answers set by the control endpoint.

A script may carry `match` ({"contains": text in the newest user text, "header": {name: value},
"model": id}) and `times` (how many requests it answers; 1 unless said; null = without end). The
first script in the queue that matches a request is taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.errors import invalid
from simulator.plan import plan_from
from simulator.wire import Json

MAX_SCRIPTS = 10_000
_FIELDS = frozenset(
    {
        "blocks",
        "stop_reason",
        "stop_sequence",
        "stop_details",
        "usage",
        "error",
        "delivery",
        "match",
        "times",
    }
)


@dataclass(slots=True)
class Script:
    """One script and how often it is still to be used; None means without end."""

    body: Json
    left: int | None

    def matches(self, text: str, model: str, headers: Mapping[str, str]) -> bool:
        """Whether the script is meant for this request."""
        match = self.body.get("match") or {}
        if match.get("contains", "") not in text:
            return False
        if match.get("model", model) != model:
            return False
        wanted = (match.get("header") or {}).items()
        return all(headers.get(name.lower()) == value for name, value in wanted)


@dataclass(slots=True)
class ScriptQueue:
    """Scripts in order of arrival."""

    _scripts: list[Script] = field(default_factory=list)

    def add(self, body: Json) -> None:
        """Appends a script after checking it; raises a 400."""
        for name in body:
            if name not in _FIELDS:
                raise invalid(name, "Extra inputs are not permitted")
        plan_from(body)
        if len(self._scripts) >= MAX_SCRIPTS:
            raise invalid("scripts", f"at most {MAX_SCRIPTS} scripts can wait")
        self._scripts.append(Script(body, body.get("times", 1)))

    def take(self, text: str, model: str, headers: Mapping[str, str]) -> Json | None:
        """The first script that matches, counted as used; None when there is none."""
        for index, script in enumerate(self._scripts):
            if script.matches(text, model, headers):
                if script.left is not None:
                    script.left -= 1
                    if script.left <= 0:
                        del self._scripts[index]
                return script.body
        return None

    def listing(self) -> list[Json]:
        """The scripts that wait, with the uses left."""
        return [{**script.body, "times": script.left} for script in self._scripts]

    def clear(self) -> None:
        """Removes all scripts."""
        self._scripts.clear()
