"""The pipelines of live requests, built from the settings."""

import logging
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from gateway.config import Settings
from gateway.pipeline.attempts import Attempts
from gateway.pipeline.cached_answers import CachedAnswers
from gateway.pipeline.conversations import Conversations
from gateway.pipeline.known_prefixes import KnownPrefixes
from gateway.pipeline.live import LivePipeline
from gateway.pipeline.question_vectors import ProviderVectors
from gateway.protocols.model_fit import FitOptions
from gateway.protocols.openai_embeddings import provider_error
from gateway.reduction.context_cut import ContextCuts
from gateway.reduction.log_store import LogStore
from gateway.reduction.references import ReferenceCache
from gateway.reduction.rewriting import Rewriter
from gateway.reduction.state_store import StateStore
from gateway.reliability.retry import RetryPolicy
from gateway.response_cache.cache import ResponseCache
from gateway.response_cache.similar import SimilarQuestions
from gateway.response_cache.store import AnswerStore
from gateway.services.from_settings import reduction_tables, secret
from gateway.services.parts import Parts
from gateway.structs import replace
from gateway.turns.conversation import Turns
from gateway.upstream.embeddings import EmbeddingTransport
from gateway.upstream.pool import Upstream, UpstreamPool
from gateway.upstream.specs import UpstreamSpec

_log = logging.getLogger("gateway.services")

_STATE_SECONDS = 259_200  # three days: the model of a conversation stays that long


def live_pipeline(parts: Parts) -> LivePipeline:
    """The steps of a live request, for one upstream."""
    settings, accounting = parts.settings, parts.accounting
    policy = RetryPolicy(
        settings.retry_enabled,
        settings.retry_max_attempts,
        settings.retry_backoff_base,
        settings.retry_deadline_seconds,
        settings.retry_budget_ratio,
    )
    return LivePipeline(
        projects=parts.projects,
        admission=parts.reliability.admission,
        router=parts.router,
        fit_options=FitOptions(
            thinking_reserve_tokens=settings.thinking_reserve_tokens,
            show_reasoning=settings.show_reasoning,
            fast_mode=settings.enable_fast_mode,
        ),
        turns=Turns(parts.turn_store),
        conversations=conversations_of(parts),
        attempts=Attempts(
            parts.reliability.pool, parts.reliability.breaker, policy, accounting.attempt_failed
        ),
        accounting=accounting,
        upstream=accounting.upstream,
        from_simulator=settings.upstream_is_simulator,
        prefixes=KnownPrefixes(settings.file_hash_cache_ttl, accounting.metrics),
    )


def conversations_of(parts: Parts) -> Conversations:
    """What is remembered of conversations, and the passes they go through."""
    settings, valkey, sealer = parts.settings, parts.valkey, parts.sealer
    seconds = settings.file_hash_cache_ttl
    return Conversations(
        valkey,
        StateStore(valkey, ttl_seconds=max(seconds, _STATE_SECONDS)),
        LogStore(valkey, sealer, ttl_seconds=seconds),
        Rewriter(ReferenceCache(seconds), *reduction_tables(settings)),
        ContextCuts(parts.summary_store),
        parts.summary_requests,
        parts.pass_guard,
        bench_clock=settings.bench_clock,
    )


async def embedding_provider(
    settings: Settings, pipeline: LivePipeline, stack: AsyncExitStack
) -> LivePipeline | None:
    """The steps of a live request in front of the provider of embeddings, None without one."""
    if settings.embedding_api_url is None:
        return None
    transport = EmbeddingTransport(
        settings.embedding_api_url,
        secret(settings.embedding_api_key),
        first_byte_seconds=settings.upstream_timeout_seconds,
        idle_seconds=settings.upstream_idle_seconds,
    )
    host = urlsplit(settings.embedding_api_url).hostname or "unknown"
    spec = UpstreamSpec(host, settings.embedding_api_url, "")
    pool = await stack.enter_async_context(UpstreamPool([Upstream(spec, transport)]))
    accounting = replace(pipeline.accounting, upstream=host)
    return replace(
        pipeline,
        attempts=replace(
            pipeline.attempts,
            pool=pool,
            on_failure=accounting.attempt_failed,
            error_of=provider_error,
            budgets={},
        ),
        accounting=accounting,
        upstream=host,
        from_simulator=False,
    )


def cached_answers(
    parts: Parts, pipeline: LivePipeline, provider: LivePipeline | None
) -> CachedAnswers:
    """The response cache in front of the upstream; before Valkey is started."""
    settings, similar = parts.settings, None
    if provider is not None and settings.embedding_model is not None:
        similar = SimilarQuestions(ProviderVectors(provider.attempts, settings.embedding_model))
    elif settings.semantic_cache_threshold > 0:
        _log.warning(
            "semantic_cache_off", extra={"reason": "it needs EMBEDDING_API_URL and EMBEDDING_MODEL"}
        )
    return CachedAnswers(pipeline, ResponseCache(AnswerStore(parts.valkey, parts.sealer), similar))
