"""Responses in the background, built from the settings: what accepts them, and what makes them."""

from gateway.durable import DurableEngine
from gateway.pipeline.background_responses import BackgroundResponses
from gateway.pipeline.background_runs import BackgroundRuns
from gateway.pipeline.background_vault import BackgroundVault
from gateway.pipeline.chat import ChatPipeline
from gateway.pipeline.live import LivePipeline
from gateway.pipeline.responses import ResponsesPipeline
from gateway.pipeline.unattended import CollectedUsage
from gateway.protocols.background import CHAT, RESPONSES
from gateway.services.parts import Parts
from gateway.services.pipelines import cached_answers
from gateway.services.unattended import StoredCallers, unattended
from gateway.storage.background_store import BackgroundStore
from gateway.storage.project_store import ProjectStore


def background_responses(
    parts: Parts, durable: DurableEngine, chat: ChatPipeline, responses: ResponsesPipeline
) -> BackgroundResponses:
    """What accepts and shows them; requests that are not for the background go on to these."""
    return BackgroundResponses(
        BackgroundStore(parts.engine),
        BackgroundVault(parts.sealer),
        chat,
        responses,
        durable,
        parts.settings.responses_ttl_days,
    )


def background_runs(
    parts: Parts, live: LivePipeline, provider: LivePipeline | None
) -> BackgroundRuns:
    """What makes them in a worker, on the pipelines of live requests."""
    usage = CollectedUsage()
    mine = unattended(live, usage)
    cached = cached_answers(parts, mine, provider)
    responses = ResponsesPipeline(mine, cached, parts.stored_responses, parts.sealer)
    return BackgroundRuns(
        BackgroundStore(parts.engine),
        BackgroundVault(parts.sealer),
        {CHAT: ChatPipeline(mine, cached).open_kept, RESPONSES: responses.open_kept},
        usage,
        StoredCallers(parts.projects, ProjectStore(parts.engine)).of,
    )
