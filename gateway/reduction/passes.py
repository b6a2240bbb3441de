"""Which passes a conversation goes through: chosen when it begins, and kept to its end.

A pass that came or went in the middle would change what was already sent.
"""

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter

from gateway.policies import ReductionPolicy, References, TextPolicy
from gateway.reduction.report import Technique
from gateway.structs import Struct, replace
from gateway.wire import JSONObject


class Passes(Struct, frozen=True):
    """The choices of one conversation; caps are in characters, 0 for none.

    `context_tokens` is where a long conversation is cut, 0 for never.
    """

    boilerplate: bool = False
    diff_first: bool = False
    volatile_lines: bool = False
    references: References = "off"
    system_chars: int = 0
    user_chars: int = 0
    result_chars: int = 0
    cold_compaction: bool = False
    context_tokens: int = 0
    append_log: bool = False

    @property
    def caps(self) -> tuple[int, int, int]:
        """The caps of system text, texts of the user, tool results."""
        return self.system_chars, self.user_chars, self.result_chars

    def may_cap(self, chars: int) -> bool:
        """True when one of texts with so many characters in all may be longer than its cap."""
        return any(map(chars.__gt__, filter(None, self.caps)))

    def as_json(self) -> JSONObject:
        """What is chosen, for the record, shared by all who ask; defaults are left out."""
        return _as_json(self)


_NAMES = Passes.__struct_fields__
_values = attrgetter(*_NAMES)


@lru_cache(maxsize=256)
def _as_json(passes: Passes) -> JSONObject:
    return {name: value for name, value in zip(_NAMES, _values(passes), strict=True) if value}


UNTOUCHED = Passes()
"""No pass at all."""


def everything_allowed(_: Technique) -> bool:
    """Every pass may be used."""
    return True


def chosen_passes(
    policy: ReductionPolicy, *, has_tools: bool, allowed: Callable[[Technique], bool]
) -> Passes:
    """The passes for a conversation that begins. `allowed` knows which lose money these days."""
    if allowed is everything_allowed:
        return _all_passes(policy, has_tools)
    return _allowed_passes(policy, has_tools, allowed)


@lru_cache(maxsize=256)
def _all_passes(policy: ReductionPolicy, has_tools: bool) -> Passes:
    return _allowed_passes(policy, has_tools, everything_allowed)


def _allowed_passes(
    policy: ReductionPolicy, has_tools: bool, allowed: Callable[[Technique], bool]
) -> Passes:
    texts = policy.texts
    references = texts.references_agent if has_tools else texts.references_chat
    if not allowed("references"):
        references = "off"
    # Without references to what it keeps, a log only grows.
    logs = policy.append_log and not has_tools and references == "runs" and allowed("append_log")
    caps = allowed("caps")
    return Passes(
        boilerplate=texts.strip_boilerplate and allowed("boilerplate"),
        diff_first=texts.diff_first,
        volatile_lines=texts.move_volatile_lines and allowed("volatile_lines"),
        references=references,
        system_chars=texts.system_max_chars if caps else 0,
        user_chars=texts.user_message_max_chars if caps else 0,
        result_chars=texts.tool_result_max_chars if caps else 0,
        cold_compaction=texts.cold_compaction and allowed("cold_compaction"),
        context_tokens=texts.context.max_tokens if allowed("context_pruning") else 0,
        append_log=logs,
    )


def recorded_passes(record: JSONObject) -> Passes:
    """The passes in a record; what a newer or older version wrote beside them is left alone."""
    return Passes(**{name: value for name, value in record.items() if name in _NAMES})


def marks_only(policy: ReductionPolicy) -> ReductionPolicy:
    """The policy without any pass that changes content."""
    texts = TextPolicy(
        references_chat="off",
        references_agent="off",
        strip_boilerplate=False,
        diff_first=False,
        move_volatile_lines=False,
    )
    return replace(policy, texts=texts, append_log=False)
