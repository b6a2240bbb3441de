"""The ledger of one live request: from the report of its passes to dollars, counters and judge."""

from gateway.reduction.pass_guard import PassGuard
from gateway.reduction.report import ReductionReport
from gateway.telemetry import series
from gateway.telemetry.metrics import MetricStore
from gateway.usage.events import RequestOpened, TokenUsage
from gateway.usage.prompt_reduction import PromptReduction
from gateway.usage.savings import Savings

MESSAGES_ENDPOINT = "/v1/messages"
"""Where clients can mark their prompts themselves."""


def prompt_reduction_of(report: ReductionReport | None, *, own_marks: bool) -> PromptReduction:
    """What was done to a prompt, None for one that no pass has seen."""
    if report is None:
        return PromptReduction(own_marks=own_marks)
    return PromptReduction(
        report.sent_chars,
        tuple(
            (effect.technique, effect.removed_chars, effect.removed_new_chars)
            for effect in report.effects
        ),
        report.marks,
        report.lifetime,
        own_marks,
    )


def count_cache_tokens(metrics: MetricStore, usage: TokenUsage) -> None:
    """Count the tokens of a prompt by what became of them in the cache."""
    for kind, tokens in (
        ("read", usage.cache_read_tokens),
        ("write_5m", usage.cache_write_5m_tokens),
        ("write_1h", usage.cache_write_1h_tokens),
        ("uncached", usage.input_tokens),
    ):
        if tokens:
            metrics.add(series.CACHE_TOKENS, (kind,), tokens)


def count_savings(metrics: MetricStore, opened: RequestOpened, savings: Savings) -> None:
    """Count the dollars of a prompt, and the tokens that passes took or added."""
    project = opened.project
    if opened.endpoint != MESSAGES_ENDPOINT:
        metrics.add(series.INPUT_BASELINE, (project,), savings.baseline_usd)
        metrics.add(series.INPUT_BILLED, (project,), savings.billed_usd)
    for each in savings.techniques:
        if each.tokens > 0:
            metrics.add(series.REDUCED_TOKENS, (each.technique, project), each.tokens)
        elif each.tokens < 0:
            metrics.add(series.ADDED_TOKENS, (each.technique, project), -each.tokens)


def judge_passes(
    guard: PassGuard, opened: RequestOpened, report: ReductionReport, savings: Savings
) -> None:
    """Tell the judge of the passes what they gained."""
    if report.effects and report.conversation:
        gained = ((each.technique, each.usd) for each in savings.techniques)
        guard.note(opened.project, opened.client, report.conversation, gained, savings.saved_usd)
