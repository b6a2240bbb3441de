"""Summaries of long conversations, written ahead of need."""

from dataclasses import dataclass

CONTEXT_SUMMARY_WORKFLOW = "ContextSummaryWorkflow"


def context_summary_id(key: str) -> str:
    """Id of the workflow that writes the summary of that key."""
    return f"context-summary-{key}"


@dataclass(frozen=True, slots=True)
class ContextSummaryInput:
    """A summary to write: its text lies sealed in Valkey under the project and the key."""

    project: str
    key: str


@dataclass(frozen=True, slots=True)
class ContextSummaryResult:
    """How much was written; zeros when there was nothing to do any more."""

    chars: int
    input_tokens: int
    output_tokens: int
