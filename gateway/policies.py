"""What may differ from project to project, gathered where the features read it.

The settings are every project's policies until a project has its own; `Projects.policy` is the one
place that decides. A conversation keeps the policies it began with, where changing them would
change what was already sent.
"""

from dataclasses import dataclass, field
from typing import Literal

References = Literal["off", "whole", "runs"]
"""Which repetitions become references: none, identical texts only, or runs of lines as well."""

ContextStrategy = Literal["extract", "model", "anthropic_clear", "anthropic_compact"]
"""Who shortens a conversation that outgrows its limit, see `CONTEXT_STRATEGY`."""


@dataclass(frozen=True, slots=True)
class ContextPolicy:
    """Pruning of long conversations. `max_tokens` is where a cut is made, 0 for never."""

    max_tokens: int = 0
    strategy: ContextStrategy = "extract"


@dataclass(frozen=True, slots=True)
class TextPolicy:
    """What may be done to texts. Caps are in characters, 0 for none."""

    references_chat: References = "runs"
    references_agent: References = "whole"
    system_max_chars: int = 0
    user_message_max_chars: int = 0
    tool_result_max_chars: int = 0
    strip_boilerplate: bool = True
    diff_first: bool = True
    move_volatile_lines: bool = True
    cold_compaction: bool = False
    context: ContextPolicy = field(default_factory=ContextPolicy)


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How prompt cache marks are set.

    `client_marks`: "add" keeps a client's own marks and adds to them, "keep" adds none where it
    sent some, "replace" drops them. `lifetime` "auto" chooses by what is expected to be cheaper.
    """

    enabled: bool = True
    client_marks: Literal["add", "keep", "replace"] = "add"
    lifetime: Literal["auto", "5m", "1h"] = "auto"


@dataclass(frozen=True, slots=True)
class ReductionPolicy:
    """Everything that makes a prompt cheaper, for one project.

    `holdout_share` of its conversations go untouched, to prove the saving. `messages` allows
    cache marks on requests of Anthropic's own protocol. `append_log` is for clients that rewrite.
    """

    texts: TextPolicy = field(default_factory=TextPolicy)
    cache: CachePolicy = field(default_factory=CachePolicy)
    append_log: bool = False
    holdout_share: float = 0.0
    messages: bool = False


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    """How names that route find their model. `heavy_threshold` is of the score, 0 to 1."""

    smart: bool = True
    heavy_threshold: float = 0.5


@dataclass(frozen=True, slots=True)
class ResponseCachePolicy:
    """Which answers are kept. `semantic_threshold` is a similarity, 0 for exact keys only."""

    answers: Literal["off", "deterministic", "all"] = "deterministic"
    ttl_seconds: int = 1800
    semantic_threshold: float = 0.0
