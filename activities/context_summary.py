"""The side effect of a context summary: one request to a model, and its outcome kept."""

from temporalio import activity

from activities.failures import reported
from gateway.durable import ContextSummaryInput, ContextSummaryResult
from gateway.errors import NotConfiguredError
from gateway.pipeline.summary_writer import SummaryWriter


class ContextSummaryActivities:
    """Writes summaries; without a writer this worker lacks Valkey, a key or an upstream."""

    def __init__(self, writer: SummaryWriter | None) -> None:
        self._writer = writer

    @activity.defn
    async def write_context_summary(self, wanted: ContextSummaryInput) -> ContextSummaryResult:
        """Asks the model and keeps its summary; a summary that is there is not asked for again."""
        async with reported():
            if self._writer is None:
                raise NotConfiguredError(
                    "this worker cannot write summaries: REDIS_URL, ENCRYPTION_KEYS and "
                    "ANTHROPIC_API_KEY must be set"
                )
            written = await self._writer.write(wanted.project, wanted.key)
        return ContextSummaryResult(written.chars, written.input_tokens, written.output_tokens)
