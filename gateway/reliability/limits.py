"""Who is limited and by what, and how a refusal says it."""

import calendar
import time
from collections.abc import Callable

from gateway.context import Caller
from gateway.errors import RateLimitError
from gateway.policies import Limits
from gateway.structs import Struct

WINDOW_SECONDS = 60
MICRO_DOLLARS = 1_000_000

LIMIT_NAMES = ("requests", "tokens", "concurrent_requests", "day", "month")
"""The limits of a subject, in the order of the script."""

BUDGETS = ("day", "month")
"""Those of them that are money."""


class Subject(Struct, frozen=True):
    """What is limited: a project, or one of its keys where `key_id` is set.

    `tag` begins its keys in Valkey.
    """

    project: str
    key_id: str | None
    tag: str
    limits: Limits

    @property
    def kind(self) -> str:
        """What a refusal calls it."""
        return "project" if self.key_id is None else "key"

    def keys(self, day: str, month: str) -> tuple[str, str, str, str, str]:
        """Its keys in Valkey, in the order of the script."""
        tag = self.tag
        return (
            f"{tag}:requests",
            f"{tag}:tokens",
            f"{tag}:in-flight",
            f"{tag}:spent:{day}",
            f"{tag}:spent:{month}",
        )


def subjects_of(caller: Caller) -> tuple[Subject, ...]:
    """The project of a caller and, where it has limits of its own, the key."""
    project = caller.project
    # The braces keep all keys of a project on one node of a cluster.
    tag = f"gateway:{{{project.id}}}"
    subjects: tuple[Subject, ...] = ()
    if project.limits.any:
        subjects = (Subject(project.id, None, tag, project.limits),)
    if caller.limits.any:
        key_tag = f"{tag}:key:{caller.key_id}"
        subjects += (Subject(project.id, caller.key_id, key_tag, caller.limits),)
    return subjects


class Refusal(Struct, frozen=True):
    """Which limit of whom stands against a request, and for how many seconds."""

    subject: Subject
    limit: str
    wait_seconds: float

    @property
    def is_budget(self) -> bool:
        """True when money is spent, which no pause of a minute changes."""
        return self.limit in BUDGETS


class Allowance(Struct, frozen=True):
    """What is left of a limit in a window, and the seconds until all of it is free again."""

    limit: int
    remaining: int
    reset_seconds: float


class Admission(Struct, frozen=True):
    """The outcome for one request; an allowance is None where nothing is counted.

    Of several subjects an allowance shows the tighter one, after this request. `degraded` tells
    that this process decided alone.
    """

    requests: Allowance | None = None
    tokens: Allowance | None = None
    refusal: Refusal | None = None
    degraded: bool = False

    @property
    def admitted(self) -> bool:
        """True when nothing stands against the request."""
        return self.refusal is None


class LimitReachedError(RateLimitError):
    """A limit of the project or of the key; `admission` has the numbers."""

    def __init__(self, admission: Admission, refusal: Refusal) -> None:
        what, code = _SAID[refusal.limit]
        super().__init__(
            f"{what(refusal.subject.limits)} for this {refusal.subject.kind}. "
            f"Try again in {_spoken(refusal.wait_seconds)}.",
            code=code,
            retry_after_seconds=refusal.wait_seconds,
        )
        self.admission = admission
        # An SDK that tries a spent budget again only adds load.
        self.retryable = not refusal.is_budget


_SAID: dict[str, tuple[Callable[[Limits], str], str]] = {
    "requests": (
        lambda limits: f"Rate limit reached: {limits.requests_per_minute} requests per minute",
        "rate_limit_exceeded",
    ),
    "tokens": (
        lambda limits: f"Rate limit reached: {limits.tokens_per_minute} tokens per minute",
        "rate_limit_exceeded",
    ),
    "concurrent_requests": (
        lambda limits: f"Rate limit reached: {limits.concurrent_requests} requests at once",
        "concurrency_limit_exceeded",
    ),
    "day": (
        lambda limits: f"Budget spent: {limits.budget_day_usd:g} US dollars a day",
        "insufficient_quota",
    ),
    "month": (
        lambda limits: f"Budget spent: {limits.budget_month_usd:g} US dollars a month",
        "insufficient_quota",
    ),
}


def _spoken(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 7200 else f"{seconds / 3600:.0f} hours"


class Periods(Struct, frozen=True):
    """A UTC day and its month, and when they end, Unix time."""

    day: str
    month: str
    day_ends_at: float
    month_ends_at: float


def periods(now: float) -> Periods:
    """The periods of `now`, Unix time."""
    at = time.gmtime(now)
    day_ends_at = now - now % 86_400 + 86_400
    days_left = calendar.monthrange(at.tm_year, at.tm_mon)[1] - at.tm_mday
    month = f"{at.tm_year:04}-{at.tm_mon:02}"
    return Periods(f"{month}-{at.tm_mday:02}", month, day_ends_at, day_ends_at + 86_400 * days_left)


def micro_dollars(usd: float) -> int:
    """Dollars as the whole numbers that are counted with."""
    return round(usd * MICRO_DOLLARS)
