"""What may differ from project to project, gathered where the features read it.

The settings are every project's policies until a project has its own; `Projects.policy` is the one
place that decides. A conversation keeps the policies it began with, where changing them would
change what was already sent.
"""

from collections.abc import Mapping
from typing import Literal

from gateway.structs import Struct, field

References = Literal["off", "whole", "runs"]
"""Which repetitions become references: none, identical texts only, or runs of lines as well."""

ContextStrategy = Literal["extract", "model", "anthropic_clear", "anthropic_compact"]
"""Who shortens a conversation that outgrows its limit, see `CONTEXT_STRATEGY`."""


class ContextPolicy(Struct, frozen=True):
    """Pruning of long conversations. `max_tokens` is where a cut is made, 0 for never."""

    max_tokens: int = 0
    strategy: ContextStrategy = "extract"


class TextPolicy(Struct, frozen=True):
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


class CachePolicy(Struct, frozen=True):
    """How prompt cache marks are set.

    `client_marks`: "add" keeps a client's own marks and adds to them, "keep" adds none where it
    sent some, "replace" drops them. `lifetime` "auto" chooses by what is expected to be cheaper.
    """

    enabled: bool = True
    client_marks: Literal["add", "keep", "replace"] = "add"
    lifetime: Literal["auto", "5m", "1h"] = "auto"


class ReductionPolicy(Struct, frozen=True):
    """Everything that makes a prompt cheaper, for one project.

    `holdout_share` of its conversations go untouched, to prove the saving. `messages` allows
    cache marks on requests of Anthropic's own protocol. `append_log` is for clients that rewrite.
    """

    texts: TextPolicy = field(default_factory=TextPolicy)
    cache: CachePolicy = field(default_factory=CachePolicy)
    append_log: bool = False
    holdout_share: float = 0.0
    messages: bool = False


class RoutingPolicy(Struct, frozen=True):
    """How names that route find their model. `heavy_threshold` is of the score, 0 to 1."""

    smart: bool = True
    heavy_threshold: float = 0.5


class ResponseCachePolicy(Struct, frozen=True):
    """Which answers are kept. `semantic_threshold` is a similarity, 0 for exact keys only."""

    answers: Literal["off", "deterministic", "all"] = "deterministic"
    ttl_seconds: int = 1800
    semantic_threshold: float = 0.0


class ReliabilityPolicy(Struct, frozen=True):
    """What is done when a model cannot be had, or is slow.

    `fallbacks` maps the id of a model to that of the one that is asked instead. An answer that has
    not begun `hedge_after_seconds` later is asked for a second time, 0 for never.
    """

    fallbacks: Mapping[str, str] = field(default_factory=dict)
    hedge_after_seconds: float = 0.0


class Limits(Struct, frozen=True):
    """What may be used, of a project or of a key; 0 is without limit.

    Budgets are in US dollars, of the UTC day and month.
    """

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrent_requests: int = 0
    budget_day_usd: float = 0.0
    budget_month_usd: float = 0.0

    @property
    def has_budget(self) -> bool:
        """True when money is counted."""
        return self.budget_day_usd > 0 or self.budget_month_usd > 0

    @property
    def needs_settlement(self) -> bool:
        """True when it matters what a request has used, or that it has ended."""
        return self.tokens_per_minute > 0 or self.concurrent_requests > 0 or self.has_budget

    @property
    def any(self) -> bool:
        """True when anything is limited."""
        return self.requests_per_minute > 0 or self.needs_settlement


NO_LIMITS = Limits()
