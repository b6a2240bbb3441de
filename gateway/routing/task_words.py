"""The classes of tasks and the words they are told by: a weight of 2 decides alone, 1 is a hint."""

from collections.abc import Iterator
from typing import Literal, get_args

TaskClass = Literal[
    "architecture",
    "incident",
    "security",
    "migration",
    "refactor",
    "debugging",
    "feature",
    "tests",
    "docs",
    "edit",
    "question",
    "one_shot",
]
"""What the work is; `feature` is any coding that is nothing else."""

TASK_CLASSES: tuple[TaskClass, ...] = get_args(TaskClass)

HEAVY_CLASSES: frozenset[str] = frozenset({"architecture", "incident", "security", "migration"})
"""Classes whose mistakes are dear."""

_PLAIN: dict[TaskClass, str] = {
    "architecture": (
        "architecture architect architectural scalability microservices monolith rfc adr "
        "multi-tenant multitenant multi-region cqrs event-sourcing consensus sharding adrs"
    ),
    "incident": (
        "incident outage postmortem post-mortem sev1 sev-1 sev2 p0 hotfix rollback downtime oncall "
        "on-call deadlock deadlocks corruption corrupted crashlooping crashloop crashloopbackoff "
        "wiped"
    ),
    "security": (
        "security vulnerability vulnerabilities vulnerable exploit exploitable cve xss csrf ssrf "
        "rce injection pentest exfiltration encryption cryptography cryptographic sandbox "
        "sandboxing hardening owasp backdoor privilege-escalation threat-model"
    ),
    "migration": "migrate migrating migration migrations backfill cutover zero-downtime",
    "refactor": "refactor refactoring restructure decouple deduplicate modularize",
    "debugging": (
        "debug debugging traceback crash crashes crashing segfault flaky hangs bisect leak leaks "
        "stacktrace bug"
    ),
    "tests": "test tests unittest unittests pytest jest coverage fixtures",
    "docs": "docs documentation docstring docstrings readme changelog comments javadoc jsdoc",
    "edit": (
        "typo typos rename whitespace indentation reformat spelling lint prettier bump wording"
    ),
    "question": "explain difference meaning",
}
_HINTS: dict[TaskClass, str] = {
    "architecture": (
        "design redesign distributed scale scaling trade-offs tradeoffs concurrency consistency "
        "throughput queue queues event-driven boundaries pipeline platform scales evaluate propose "
        "regions fairness starvation failover monorepo services strategy plan "
        "invalidation invalidate"
    ),
    "incident": "production prod urgent paging alerts 502 503 504 5xx latency spike spikes "
    "customers losing lost outages",
    "security": (
        "auth authentication authorization permissions secrets audit jwt oauth csp tls leaked "
        "credentials rotate rotating attacker untrusted sanitize escape threat tenant tenants"
    ),
    "migration": (
        "upgrade upgrading port porting legacy schema deprecate postgres mysql python2 rollout "
        "migrated"
    ),
    "refactor": "extract duplicated everywhere modules cleanup split consolidate untangle",
    "debugging": (
        "fails failing failed error errors exception broken fix wrong unexpected reproduce trace"
    ),
    "tests": "mock assertions spec specs parametrize e2e",
    "docs": "document comment guide tutorial",
    "edit": "color colour padding margin label format sort constant version remove delete change",
    "feature": "add implement create build support endpoint button page command option",
}


def _weighted() -> Iterator[tuple[str, tuple[TaskClass, int]]]:
    for weight, words in ((1, _HINTS), (2, _PLAIN)):
        for name, listed in words.items():
            for word in listed.split():
                yield word, (name, weight)


WORDS: dict[str, tuple[TaskClass, int]] = dict(_weighted())
"""Word -> its class and weight."""

_PHRASES: dict[TaskClass, tuple[tuple[str, int], ...]] = {
    "architecture": (
        ("system design", 2), ("propose how", 1), ("should use", 1), ("design a", 1),
        ("design the", 2), ("structure this", 1), ("should we structure", 3), ("data model", 1),
        ("trade off", 1), ("domain model", 2),
    ),
    "incident": (
        ("in production", 2), ("production is", 3), ("is down", 2), ("are down", 2),
        ("data loss", 3), ("root cause", 1), ("out of memory", 1), ("losing data", 3),
    ),
    "security": (
        ("access control", 2), ("threat model", 3), ("path traversal", 3), ("sql injection", 3),
        ("password reset", 2), ("each other s", 3), ("row level", 2), ("privilege escalation", 3),
        ("api keys", 1),
    ),
    "migration": (
        ("from python 2", 2), ("move from", 1), ("switch from", 1), ("move us from", 2),
        ("upgrade from", 1),
        ("schema change", 2), ("breaking change", 1), ("without downtime", 3), ("convert the", 1),
    ),
    "refactor": (
        ("across the", 2), ("all call sites", 2), ("whole codebase", 2), ("entire codebase", 2),
        ("every module", 2), ("circular import", 1), ("all modules", 2),
    ),
    "debugging": (
        ("race condition", 2), ("stack trace", 2), ("doesn t work", 2), ("does not work", 2),
        ("not working", 2), ("memory leak", 2),
    ),
    "tests": (("unit test", 2), ("test case", 2)),
    "edit": (("one line", 2), ("small change", 2), ("small fix", 2)),
    "question": (
        ("what does", 2), ("what is", 2), ("how do i", 2), ("how does", 2), ("why does", 1),
        ("where is", 2),
    ),
}  # fmt: skip


def _by_word() -> dict[str, tuple[tuple[str, TaskClass, int], ...]]:
    table: dict[str, tuple[tuple[str, TaskClass, int], ...]] = {}
    for name, listed in _PHRASES.items():
        for phrase, weight in listed:
            last = phrase.split()[-1]
            table[last] = (*table.get(last, ()), (phrase, name, weight))
    return table


PHRASES = _by_word()
"""The last word of a phrase -> phrases, their classes and weights: what words alone do not tell."""

SMALL_WORDS = frozenset({
    "typo", "typos", "rename", "bump", "quick", "quickly", "tiny", "trivial", "simple", "simply",
    "just", "minor", "spelling", "one-line", "oneliner", "wording",
})  # fmt: skip
"""What people say when little is to be done."""

MOVES = frozenset({"move", "moving", "switch", "switching", "rewrite", "rewriting", "convert"})
WIDE = frozenset({
    "monorepo", "repo", "codebase", "services", "service", "platform", "infrastructure",
    "database", "backend", "frontend", "cluster", "workspaces",
})  # fmt: skip
"""Of a migration: the verbs, from one thing to another, and what is wide enough for one."""

LANGUAGES = frozenset({
    "python", "typescript", "javascript", "rust", "golang", "java", "kotlin", "swift", "ruby",
    "php", "c++", "c#", "scala", "elixir", "haskell", "sql", "bash", "html", "css",
})  # fmt: skip
"""Languages that go by a word of their own."""
