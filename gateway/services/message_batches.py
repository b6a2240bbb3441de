"""What brings batches through Claude's Message Batches, at the upstreams of live requests."""

from contextlib import AsyncExitStack

from gateway.batches.part_plan import PartLimits
from gateway.batches.part_results import PartResults
from gateway.batches.upstream_parts import UpstreamParts
from gateway.config import Settings
from gateway.pipeline.message_batch_items import MessageBatchItems
from gateway.services.batch_execution import BatchExecution
from gateway.services.from_settings import upstreams_of
from gateway.structs import Struct
from gateway.upstream.message_batches import MessageBatchClient

_SECONDS = 300.0  # of silence: a body of 256 MB is read before it is answered
_MB = 1_000_000


class MessageBatches(Struct, frozen=True):
    """Both halves: parts on their way up, results on their way back."""

    parts: UpstreamParts
    results: PartResults


async def open_message_batches(
    settings: Settings, execution: BatchExecution, stack: AsyncExitStack
) -> MessageBatches:
    """Clients of all upstreams, closed by `stack`."""
    upstreams = {}
    for spec in upstreams_of(settings):
        client = MessageBatchClient(spec.base_url, spec.api_key, timeout_seconds=_SECONDS)
        upstreams[spec.name] = await stack.enter_async_context(client)
    translation = execution.translation
    items = MessageBatchItems(translation, translation.names.catalog)
    limits = PartLimits(settings.message_batch_items, settings.message_batch_mb * _MB)
    return MessageBatches(
        UpstreamParts(
            execution.parts,
            items,
            upstreams,
            limits,
            execution.has_budget,
            enabled=settings.enable_message_batches,
        ),
        PartResults(execution.parts, execution.items, items, upstreams),
    )
