"""What executes the items of batches, built from the parts of the live pipelines."""

from gateway.batches.execution import Answered, Execute, NotYet
from gateway.batches.pacing import WarmPrefixes
from gateway.context import Caller
from gateway.pipeline.batch_items import BatchItem, BatchItems, batch_openers
from gateway.pipeline.batch_translation import BatchTranslation
from gateway.pipeline.chat import ChatPipeline
from gateway.pipeline.embeddings import EmbeddingPipeline
from gateway.pipeline.live import LivePipeline
from gateway.pipeline.messages import MessagesPipeline
from gateway.pipeline.responses import ResponsesPipeline
from gateway.pipeline.unattended import CollectedUsage
from gateway.policies import Limits
from gateway.services.parts import Parts
from gateway.services.pipelines import cached_answers
from gateway.services.unattended import StoredCallers, unattended
from gateway.storage.batch_items_store import BatchItemStore, ItemRow
from gateway.storage.batch_parts_store import BatchPartStore
from gateway.storage.batch_store import BatchRow, BatchStore
from gateway.storage.file_store import FileStore
from gateway.storage.project_store import ProjectStore
from gateway.structs import Struct, field, replace


class BatchExecution(Struct, frozen=True):
    """Executes items in a worker. `warm` is shared by all chunks of the process.

    Live requests keep `1 - share` of every limit of rates: a batch is admitted only while the
    project, live requests included, uses less than `share` of it. Budgets hold as they are.
    """

    batches: BatchStore
    items: BatchItemStore
    files: FileStore
    parts: BatchPartStore
    pipelines: BatchItems
    translation: BatchTranslation
    callers: StoredCallers
    share: float
    warm: WarmPrefixes = field(default_factory=WarmPrefixes)

    async def executing(self, batch: BatchRow) -> Execute:
        """What executes the items of a batch, for the key that has submitted it."""
        caller = await self._caller(batch)

        async def execute(row: ItemRow) -> Answered | NotYet:
            return await self.pipelines.execute(
                BatchItem(batch.id, row.number, batch.endpoint, row.body, caller, row.attempts)
            )

        return execute

    async def has_budget(self, batch: BatchRow) -> bool:
        """Whether the money of the batch's project or key is limited."""
        caller = await self._caller(batch)
        return caller.project.limits.has_budget or caller.limits.has_budget

    async def _caller(self, batch: BatchRow) -> Caller:
        caller = await self.callers.of(batch.project_id, batch.key_id)
        project = replace(caller.project, limits=shared(caller.project.limits, self.share))
        return replace(caller, project=project, limits=shared(caller.limits, self.share))


def shared(limits: Limits, share: float) -> Limits:
    """The part of limits that a batch may use."""

    def part(limit: int) -> int:
        return max(1, int(limit * share)) if limit > 0 else 0

    return replace(
        limits,
        requests_per_minute=part(limits.requests_per_minute),
        tokens_per_minute=part(limits.tokens_per_minute),
        concurrent_requests=part(limits.concurrent_requests),
    )


def batch_execution(
    parts: Parts, live: LivePipeline, provider: LivePipeline | None
) -> BatchExecution:
    """The execution of batches on the pipelines of live requests."""
    usage = CollectedUsage()
    mine = unattended(live, usage)
    embedding = None if provider is None else unattended(provider, usage)
    cached = cached_answers(parts, mine, embedding)
    openers = batch_openers(
        ChatPipeline(mine, cached),
        ResponsesPipeline(mine, cached, parts.stored_responses, parts.sealer),
        MessagesPipeline(mine),
        EmbeddingPipeline(mine, embedding, parts.settings.embedding_model),
    )
    return BatchExecution(
        BatchStore(parts.engine),
        BatchItemStore(parts.engine),
        FileStore(parts.engine),
        BatchPartStore(parts.engine),
        BatchItems(openers, usage),
        BatchTranslation(parts.router.names, mine.fit_options, parts.sealer),
        StoredCallers(parts.projects, ProjectStore(parts.engine)),
        parts.settings.batch_limit_share,
    )
