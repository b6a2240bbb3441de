"""What the client is told of what was done to its prompt."""

from gateway.reduction.report import ReductionReport


def was_reduced(report: ReductionReport) -> bool:
    """True when the gateway changed anything: a text, or the cache marks."""
    return bool(report.effects or report.moved_lines or report.lifetime is not None)


def reduction_headers(report: ReductionReport) -> dict[str, str]:
    """The response headers of a request: whether its prompt was changed, and how.

    `references=-1234c; caps=-400c; marks=3; ttl=5m; moved=1`: characters more or less by technique,
    cache marks in the prompt, lifetime of the gateway's own, and system lines that were moved.
    """
    headers = {"X-Reduction": "1" if was_reduced(report) else "0"}
    if parts := _parts(report):
        headers["X-Reduction-Detail"] = "; ".join(parts)
    return headers


def _parts(report: ReductionReport) -> list[str]:
    removed: dict[str, int] = {}
    for effect in report.effects:
        removed[effect.technique] = removed.get(effect.technique, 0) + effect.removed_chars
    parts = [f"{technique}={-chars:+d}c" for technique, chars in removed.items()]
    if report.marks:
        parts.append(f"marks={report.marks}")
    if report.lifetime is not None:
        parts.append(f"ttl={report.lifetime}")
    if report.moved_lines:
        parts.append(f"moved={report.moved_lines}")
    if report.held_out:
        parts.append("held_out=1")
    return parts
