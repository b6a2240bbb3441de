"""From an API key to its caller, and from a project to what it may do.

Keys from the settings are known from the start; keys of the table are looked up once and kept. The
database is asked on the request's own time only for a key that was not seen lately; with the
database down, keys that were seen go on working.
"""

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from pydantic import SecretStr

from gateway.config import Settings
from gateway.context import DEFAULT_PROJECT_ID, Caller, Project
from gateway.errors import AuthenticationError, UnavailableError
from gateway.policies import (
    NO_LIMITS,
    CachePolicy,
    ContextPolicy,
    Limits,
    ReductionPolicy,
    ReliabilityPolicy,
    ResponseCachePolicy,
    RoutingPolicy,
    TextPolicy,
)
from gateway.structs import Struct, replace

BOOTSTRAP_KEY_ID = "bootstrap"

_REFRESH_AFTER_SECONDS = 30.0
_FORGET_AFTER_SECONDS = 60.0  # a revoked key works no longer than this
_RETRY_AFTER_SECONDS = 5.0
_UNKNOWN_FOR_SECONDS = 10.0  # a key that was just made must not stay refused for long
_MAX_KEYS = 10_000
_MAX_LOOKUPS_AT_ONCE = 4  # guessing keys must not take the connections of everybody else
_LOOKUP_SECONDS = 3.0

_Value = TypeVar("_Value")


class KeyRecord(Protocol):
    """A valid key as a store returns it."""

    @property
    def key_id(self) -> str:
        """Stable id of the key; not the key."""

    @property
    def project_id(self) -> str:
        """Slug of the project."""

    @property
    def scopes(self) -> frozenset[str]:
        """What the key may do: "chat", "admin"."""

    @property
    def project_limits(self) -> Mapping[str, Any]:
        """The limits set for the project, by the names of `Limits`."""

    @property
    def key_limits(self) -> Mapping[str, Any]:
        """The limits set for the key itself."""

    @property
    def expires_at(self) -> datetime | None:
        """When the key ends, None for never."""


class ProjectStore(Protocol):
    """Where the keys are."""

    async def find_key(self, key_hash: str) -> KeyRecord | None:
        """The valid key with that SHA-256; None when unknown. Raises UnavailableError."""


class _Known(Struct, frozen=True):
    """A key that was found, and how long that may be relied on."""

    caller: Caller
    refresh_at: float
    forget_at: float
    expires_at: datetime | None

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and datetime.now(UTC) >= self.expires_at


class Projects:
    """Resolves keys. `hash_key` is the digest the store knows keys by.

    `fallbacks` says which model is asked when another cannot be had, by id.
    """

    def __init__(
        self,
        settings: Settings,
        store: ProjectStore | None,
        hash_key: Callable[[str], str],
        clock: Callable[[], float] = time.monotonic,
        fallbacks: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = settings
        self._fallbacks = fallbacks or {}
        self._store = store
        self._hash_key = hash_key
        self._clock = clock
        self._bootstrap = self._bootstrap_callers()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._lookups: dict[str, asyncio.Task[Caller | None]] = {}
        self._free_lookups = asyncio.Semaphore(_MAX_LOOKUPS_AT_ONCE)
        self._store_failed_at: float | None = None

    def policy(self, project_id: str, limits: Mapping[str, Any] | None = None) -> Project:
        """The project with everything that is set for it: its own values over the settings'.

        The one place where a per-project switch is decided.
        """
        settings = self._settings
        return Project(
            project_id,
            self._limits(replace(default_limits(settings), **(limits or {}))),
            reduction=reduction_policy(settings),
            routing=RoutingPolicy(settings.enable_smart_routing, settings.opus_routing_threshold),
            response_cache=ResponseCachePolicy(
                settings.response_cache,
                settings.cache_ttl_seconds,
                settings.semantic_cache_threshold,
            ),
            reliability=ReliabilityPolicy(self._fallbacks, settings.hedge_after_seconds),
        )

    def caller(
        self,
        project_id: str,
        key_id: str,
        project_limits: Mapping[str, Any],
        key_limits: Mapping[str, Any],
    ) -> Caller:
        """The caller of work that a key has left behind, with the limits that hold now."""
        project = self.policy(project_id, project_limits)
        own_limits = self._limits(replace(NO_LIMITS, **key_limits))
        return Caller(project, key_id, frozenset({"chat"}), own_limits)

    def cached(self, raw_key: str) -> Caller | None:
        """The caller of a key that is known, without waiting; None when `resolve` must be asked.

        A key that was looked up a while ago is renewed in the background.
        """
        digest = self._hash_key(raw_key)
        caller = self._bootstrap_caller(digest)
        if caller is not None:
            return caller
        known = self._known.get(digest)
        now = self._clock()
        if known is None or now >= known.forget_at or known.is_expired:
            return None
        if now >= known.refresh_at:
            _ = self._lookup(digest)  # kept until it is done
        return known.caller

    async def resolve(self, raw_key: str) -> Caller:
        """The caller of a key. Raises AuthenticationError, and UnavailableError when the database
        is down and the key was not seen before.
        """
        found = self.cached(raw_key)
        if found is not None:
            return found
        digest = self._hash_key(raw_key)
        if self._unknown.get(digest, 0.0) <= self._clock():
            # Shielded: others may wait for the same lookup when this client leaves.
            found = await asyncio.shield(self._lookup(digest))
        if found is None:
            raise AuthenticationError("The API key is not valid.")
        return found

    def forget(self, key_hash: str) -> None:
        """Drop what is known of a key that was made, changed or revoked."""
        self._known.pop(key_hash, None)
        self._unknown.pop(key_hash, None)

    async def close(self) -> None:
        """End lookups that are under way."""
        lookups = list(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)

    def _limits(self, limits: Limits) -> Limits:
        """The limits, without those of rates when they are switched off; budgets always hold."""
        if self._settings.rate_limit_enabled:
            return limits
        return replace(limits, requests_per_minute=0, tokens_per_minute=0, concurrent_requests=0)

    # --- keys of the settings ---

    def _bootstrap_callers(self) -> list[tuple[str, Caller]]:
        """The admin key first, so that one key for both may do both."""
        project = self.policy(DEFAULT_PROJECT_ID)
        chat = Caller(project, BOOTSTRAP_KEY_ID, frozenset({"chat"}))
        admin = Caller(project, BOOTSTRAP_KEY_ID, frozenset({"chat", "admin"}))
        gateway_key = _secret(self._settings.gateway_api_key)
        admin_key = _secret(self._settings.admin_api_key) or gateway_key
        pairs = [(admin_key, admin), (gateway_key, chat)]
        return [(self._hash_key(key), caller) for key, caller in pairs if key]

    def _bootstrap_caller(self, digest: str) -> Caller | None:
        for expected, caller in self._bootstrap:
            if hmac.compare_digest(digest, expected):
                return caller
        return None

    # --- keys of the table ---

    def _lookup(self, digest: str) -> asyncio.Task[Caller | None]:
        """The lookup of that key, one at a time however many ask."""
        task = self._lookups.get(digest)
        if task is None:
            task = asyncio.create_task(self._look_up(digest), name="key-lookup")
            self._lookups[digest] = task
            task.add_done_callback(lambda done: self._lookup_done(digest, done))
        return task

    def _lookup_done(self, digest: str, task: asyncio.Task[Caller | None]) -> None:
        del self._lookups[digest]
        if not task.cancelled():
            # Marks a failure as seen: a renewal in the background has nobody who would.
            task.exception()

    async def _look_up(self, digest: str) -> Caller | None:
        if self._store is None:
            return self._remember(digest, None)
        if self._store_failed_lately() and (kept := self._keep_stale(digest)) is not None:
            return kept
        try:
            async with asyncio.timeout(_LOOKUP_SECONDS), self._free_lookups:
                record = await self._store.find_key(digest)
        except (UnavailableError, TimeoutError) as error:
            self._store_failed_at = self._clock()
            kept = self._keep_stale(digest)
            if kept is None:
                raise UnavailableError(
                    "API keys cannot be checked at the moment.",
                    retry_after_seconds=_RETRY_AFTER_SECONDS,
                ) from error
            return kept
        self._store_failed_at = None
        return self._remember(digest, record)

    def _remember(self, digest: str, record: KeyRecord | None) -> Caller | None:
        now = self._clock()
        if record is None:
            self._known.pop(digest, None)
            _put_bounded(self._unknown, digest, now + _UNKNOWN_FOR_SECONDS)
            return None
        project = self.policy(record.project_id, record.project_limits)
        own_limits = self._limits(replace(NO_LIMITS, **record.key_limits))
        known = _Known(
            Caller(project, record.key_id, record.scopes, own_limits),
            now + _REFRESH_AFTER_SECONDS,
            now + _FORGET_AFTER_SECONDS,
            record.expires_at,
        )
        self._unknown.pop(digest, None)
        _put_bounded(self._known, digest, known)
        return known.caller

    def _keep_stale(self, digest: str) -> Caller | None:
        """What was known before the database went away, for some seconds more."""
        old = self._known.get(digest)
        if old is None or old.is_expired:
            return None
        now = self._clock()
        forget_at = max(old.forget_at, now + 2 * _RETRY_AFTER_SECONDS)
        self._known[digest] = replace(
            old, refresh_at=now + _RETRY_AFTER_SECONDS, forget_at=forget_at
        )
        return old.caller

    def _store_failed_lately(self) -> bool:
        failed_at = self._store_failed_at
        return failed_at is not None and self._clock() - failed_at < _RETRY_AFTER_SECONDS


def _put_bounded(table: OrderedDict[str, _Value], key: str, value: _Value) -> None:
    table[key] = value
    if len(table) > _MAX_KEYS:
        table.popitem(last=False)


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value is not None else ""


def default_limits(settings: Settings) -> Limits:
    """What the settings allow a project."""
    return Limits(
        requests_per_minute=settings.rate_limit_rpm,
        tokens_per_minute=settings.rate_limit_tpm,
        concurrent_requests=settings.max_concurrent_requests,
        budget_day_usd=settings.budget_day_usd,
        budget_month_usd=settings.budget_month_usd,
    )


def reduction_policy(settings: Settings) -> ReductionPolicy:
    """What the settings say about making prompts cheaper."""
    remembers = settings.enable_file_hash_cache
    return ReductionPolicy(
        texts=TextPolicy(
            references_chat=settings.references_chat if remembers else "off",
            references_agent=settings.references_agent if remembers else "off",
            system_max_chars=settings.system_max_chars,
            user_message_max_chars=settings.user_msg_max_chars,
            tool_result_max_chars=settings.tool_result_max_chars,
            strip_boilerplate=settings.strip_ide_boilerplate,
            diff_first=settings.enforce_diff_first,
            move_volatile_lines=settings.move_volatile_lines,
            cold_compaction=settings.enable_cold_compaction,
            context=ContextPolicy(
                settings.context_max_tokens if settings.enable_context_pruning else 0,
                settings.context_strategy,
            ),
        ),
        cache=CachePolicy(
            enabled=settings.enable_anthropic_cache_control,
            client_marks=settings.client_cache_marks,
            lifetime=settings.cache_lifetime,
        ),
        append_log=settings.enable_append_log,
        holdout_share=settings.reduction_holdout,
        messages=settings.enable_messages_reduction,
    )
