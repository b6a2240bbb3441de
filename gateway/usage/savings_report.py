"""The report on what input would have cost and what was billed: sums in, JSON out.

Requests to /v1/messages stand apart, because their clients mark their prompts themselves. A figure
nobody can know is null, never 0.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from gateway.errors import InvalidRequestError
from gateway.storage.usage_reports import UsageSum
from gateway.structs import Struct
from gateway.usage.savings import CACHE
from gateway.wire import JSONObject

GROUPS = ("project", "technique", "client", "day")
"""What the report can be grouped by."""

GROUPINGS: tuple[tuple[str, ...], ...] = (
    ("endpoint",),
    ("project", "endpoint"),
    ("client", "endpoint"),
    ("day", "endpoint"),
)
"""The sums it is made of."""

METHOD = (
    "billed: the API's usage at the model's prices. baseline: an estimate of the plain translation"
    " with no cache marks; text that was not sent is counted by each request's own tokens per"
    " character. /v1/messages: against what the client itself sent."
)
"""How the figures come about, in the report."""

_MESSAGES = "/v1/messages"
_EMBEDDINGS = "/v1/embeddings"  # another provider's
_FEW_REQUESTS = 500  # requests of one conversation are alike, so fewer say little
_PLAIN = (
    "requests",
    "measured_requests",
    "reduced_requests",
    "held_out_requests",
    "unpriced_requests",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
)
_USED = (
    *_PLAIN,
    "measured_prompt_tokens",
    "held_out_prompt_tokens",
    "baseline_input_usd",
    "billed_input_usd",
    "held_out_input_usd",
)

_Measures = Mapping[str, Any]


class SavingsSums(Struct, frozen=True):
    """What the database says: sums for each of `GROUPINGS`, sums by protocol and technique."""

    by_group: Mapping[tuple[str, ...], Sequence[UsageSum]]
    by_technique: Sequence[UsageSum]


def checked_group(group: str | None) -> str | None:
    """The query parameter `group`. Raises InvalidRequestError for one that does not exist."""
    if not group:
        return None
    if group not in GROUPS:
        raise InvalidRequestError(f"group must be one of {', '.join(GROUPS)}", param="group")
    return group


def savings_report(sums: SavingsSums, passes: list[JSONObject], group: str | None) -> JSONObject:
    """The report; with `group` only that grouping of it. `passes` are the states of the passes."""
    reduced, forwarded = _apart(sums.by_group[("endpoint",)], ())
    messages = _totals(_only(forwarded))
    messages["by_technique"] = _techniques(sums.by_technique, of_messages=True)
    groupings: JSONObject = {
        "by_technique": _techniques(sums.by_technique, of_messages=False),
        **{f"by_{axis}": _grouped(sums.by_group, axis) for axis in ("project", "client", "day")},
    }
    if group is not None:
        groupings = {f"by_{group}": groupings[f"by_{group}"]}
    return {
        "totals": _totals(_only(reduced)),
        **groupings,
        "messages": messages,
        "holdout": _holdout(sums.by_group[("project", "endpoint")]),
        "passes": passes,
        "method": METHOD,
    }


_Sums = dict[tuple[Any, ...], dict[str, Any]]


def _apart(rows: Iterable[UsageSum], axes: tuple[str, ...]) -> tuple[_Sums, _Sums]:
    """The measures by the values of `axes`: of what the gateway may reduce, and of Messages."""
    reduced: _Sums = defaultdict(_nothing)
    messages: _Sums = defaultdict(_nothing)
    for row in rows:
        if row.group["endpoint"] == _EMBEDDINGS:
            continue
        side = messages if row.group["endpoint"] == _MESSAGES else reduced
        total = side[tuple(row.group[axis] for axis in axes)]
        for name in _USED:
            total[name] += row.measures[name]
    return reduced, messages


def _nothing() -> dict[str, Any]:
    return dict.fromkeys(_USED, 0)


def _only(sums: _Sums) -> _Measures:
    return sums[()]


def _grouped(by_group: Mapping[tuple[str, ...], Sequence[UsageSum]], axis: str) -> list[JSONObject]:
    reduced, _ = _apart(by_group[(axis, "endpoint")], (axis,))
    rows = [{axis: _shown(value), **_totals(sums)} for (value,), sums in reduced.items()]
    if axis == "day":
        return sorted(rows, key=lambda row: row["day"])
    return sorted(rows, key=lambda row: (-(row["baseline_input_usd"] or 0), row[axis]))


def _shown(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _totals(sums: _Measures) -> JSONObject:
    totals: JSONObject = {name: int(sums[name]) for name in _PLAIN}
    totals["measured_prompt_tokens"] = int(sums["measured_prompt_tokens"])
    return totals | _dollars(sums)


def _dollars(sums: _Measures) -> JSONObject:
    if sums["requests"] and not sums["measured_requests"]:
        names = ("baseline_input_usd", "billed_input_usd", "saved_usd", "saved_share")
        return dict.fromkeys(names)
    baseline, billed = float(sums["baseline_input_usd"]), float(sums["billed_input_usd"])
    return {
        "baseline_input_usd": baseline,
        "billed_input_usd": billed,
        "saved_usd": float(sums["baseline_input_usd"] - sums["billed_input_usd"]),
        "saved_share": _ratio(baseline - billed, baseline),
    }


def _techniques(rows: Sequence[UsageSum], *, of_messages: bool) -> list[JSONObject]:
    """What each technique saved, the cache as one of them, the greatest first."""
    sums: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"requests": 0, "removed_tokens": 0, "saved_usd": 0}
    )
    for row in rows:
        if (row.group["protocol"] == "messages") is of_messages:
            total = sums[row.group["technique"]]
            for name in total:
                total[name] += row.measures[name]
    shown = [
        {
            "technique": technique,
            "requests": int(total["requests"]),
            # The cache makes tokens cheaper and leaves none out.
            "removed_tokens": None if technique == CACHE else int(total["removed_tokens"]),
            "saved_usd": float(total["saved_usd"]),
        }
        for technique, total in sums.items()
    ]
    return sorted(shown, key=lambda row: (-row["saved_usd"], row["technique"]))


def _holdout(rows: Sequence[UsageSum]) -> JSONObject:
    """Both groups of the projects that hold conversations out, side by side."""
    by_project, _ = _apart(rows, ("project",))
    held: dict[str, Any] = dict.fromkeys(("requests", "tokens", "dollars"), 0)
    measured = dict(held)
    for sums in by_project.values():
        if not sums["held_out_requests"]:
            continue
        for into, requests, tokens, dollars in (
            (held, "held_out_requests", "held_out_prompt_tokens", "held_out_input_usd"),
            (measured, "measured_requests", "measured_prompt_tokens", "billed_input_usd"),
        ):
            into["requests"] += sums[requests]
            into["tokens"] += sums[tokens]
            into["dollars"] += sums[dollars]
    untouched = _side(held)
    reduced = _side({name: measured[name] - held[name] for name in held})
    return {
        "held_out": untouched,
        "reduced": reduced,
        "saved_share_per_request": _less(reduced, untouched, "usd_per_request"),
        "saved_share_per_1000_prompt_tokens": _less(
            reduced, untouched, "usd_per_1000_prompt_tokens"
        ),
        "note": _note(untouched["requests"], reduced["requests"]),
    }


def _side(sums: Mapping[str, Any]) -> JSONObject:
    requests, tokens, dollars = int(sums["requests"]), int(sums["tokens"]), float(sums["dollars"])
    return {
        "requests": requests,
        "prompt_tokens": tokens,
        "billed_input_usd": dollars,
        "usd_per_request": _ratio(dollars, requests),
        "usd_per_1000_prompt_tokens": _ratio(dollars * 1000, tokens),
    }


def _less(reduced: JSONObject, untouched: JSONObject, name: str) -> float | None:
    """By what share the one is less than the other."""
    if reduced[name] is None or not untouched[name]:
        return None
    return _ratio(untouched[name] - reduced[name], untouched[name])


def _note(held_out: int, reduced: int) -> str | None:
    if not held_out:
        return "no conversation was held out: REDUCTION_HOLDOUT sets the share"
    if min(held_out, reduced) < _FEW_REQUESTS:
        return f"small sample: fewer than {_FEW_REQUESTS} requests in a group prove little"
    return None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
