import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.config import Settings
from gateway.context import Caller
from gateway.errors import AuthenticationError, UnavailableError
from gateway.policies import Limits
from gateway.projects import KeyRecord, Projects
from tests.support.clock import Clock


@dataclass(frozen=True)
class Record:
    key_id: str = "key_1"
    project_id: str = "team"
    scopes: frozenset[str] = frozenset({"chat"})
    project_limits: dict[str, float] = field(default_factory=dict)
    key_limits: dict[str, float] = field(default_factory=dict)
    expires_at: datetime | None = None


@dataclass
class Store:
    """Keys in memory; can be down, and slow until let go."""

    records: dict[str, Record] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_down: bool = False
    gate: asyncio.Event | None = None

    async def find_key(self, key_hash: str) -> KeyRecord | None:
        self.asked.append(key_hash)
        if self.gate is not None:
            await self.gate.wait()
        if self.is_down:
            raise UnavailableError("the database is down")
        return self.records.get(key_hash)


def digest(key: str) -> str:
    return f"hash of {key}"


def projects(store: Store | None = None, clock: Clock | None = None, **settings: Any) -> Projects:
    values = {"gateway_api_key": "chat-key", "admin_api_key": "admin-key", **settings}
    made = Settings(_env_file=None, **values)
    return Projects(made, store, digest, clock or Clock(1000.0))


async def settled() -> None:
    """Let tasks in the background come to their end."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_keys_of_the_settings_are_known_without_a_store() -> None:
    resolver = projects(rate_limit_rpm=7)
    expected = Caller(
        resolver.policy("default", {"requests_per_minute": 7}), "bootstrap", frozenset({"chat"})
    )
    assert resolver.cached("chat-key") == expected
    assert await resolver.resolve("chat-key") == expected
    assert (await resolver.resolve("admin-key")).may("admin")
    with pytest.raises(AuthenticationError):
        await resolver.resolve("other")


async def test_one_key_for_both_may_do_both() -> None:
    assert (await projects(admin_api_key=None).resolve("chat-key")).may("admin")
    same = projects(admin_api_key="chat-key")
    assert (await same.resolve("chat-key")).may("admin")


async def test_without_any_key_nobody_gets_in() -> None:
    resolver = projects(gateway_api_key=None, admin_api_key=None)
    assert resolver.cached("") is None
    with pytest.raises(AuthenticationError):
        await resolver.resolve("")


async def test_a_key_of_the_table_is_asked_for_once() -> None:
    store = Store(
        {
            digest("k"): Record(
                project_limits={"requests_per_minute": 5}, key_limits={"tokens_per_minute": 9}
            )
        }
    )
    resolver = projects(store)
    assert resolver.cached("k") is None
    caller = await resolver.resolve("k")
    project = resolver.policy("team", {"requests_per_minute": 5})
    own_limits = Limits(tokens_per_minute=9)
    assert caller == Caller(project, "key_1", frozenset({"chat"}), own_limits)
    assert caller.project.limits.requests_per_minute == 5
    assert resolver.cached("k") == caller
    assert await resolver.resolve("k") == caller
    assert store.asked == [digest("k")]


async def test_many_at_once_share_one_lookup_even_when_the_first_leaves() -> None:
    store = Store({digest("k"): Record()}, gate=asyncio.Event())
    resolver = projects(store)
    waiting = [asyncio.ensure_future(resolver.resolve("k")) for _ in range(20)]
    await settled()
    waiting[0].cancel()
    await settled()
    assert store.gate is not None
    store.gate.set()
    outcomes = await asyncio.gather(*waiting[1:])
    assert {outcome.key_id for outcome in outcomes} == {"key_1"}
    assert len(store.asked) == 1


async def test_an_unknown_key_is_asked_for_again_only_after_a_while() -> None:
    store, clock = Store(), Clock(1000.0)
    resolver = projects(store, clock)
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            await resolver.resolve("new")
    assert len(store.asked) == 1
    store.records[digest("new")] = Record()
    clock.now += 11
    assert (await resolver.resolve("new")).key_id == "key_1"


async def test_forgetting_makes_a_change_known_at_once() -> None:
    store = Store()
    resolver = projects(store)
    with pytest.raises(AuthenticationError):
        await resolver.resolve("new")
    store.records[digest("new")] = Record()
    resolver.forget(digest("new"))
    assert (await resolver.resolve("new")).key_id == "key_1"
    del store.records[digest("new")]
    resolver.forget(digest("new"))
    with pytest.raises(AuthenticationError):
        await resolver.resolve("new")


async def test_a_key_is_renewed_in_the_background_and_a_revoked_one_ends() -> None:
    store, clock = Store({digest("k"): Record()}), Clock(1000.0)
    resolver = projects(store, clock)
    await resolver.resolve("k")
    del store.records[digest("k")]
    clock.now += 31
    assert resolver.cached("k") is not None
    await settled()
    assert resolver.cached("k") is None
    with pytest.raises(AuthenticationError):
        await resolver.resolve("k")


async def test_a_revoked_key_that_was_idle_does_not_get_in_once_more() -> None:
    store, clock = Store({digest("k"): Record()}), Clock(1000.0)
    resolver = projects(store, clock)
    await resolver.resolve("k")
    del store.records[digest("k")]
    clock.now += 61
    with pytest.raises(AuthenticationError):
        await resolver.resolve("k")


async def test_with_the_database_down_known_keys_go_on_and_new_ones_get_503() -> None:
    store, clock = Store({digest("k"): Record()}), Clock(1000.0)
    resolver = projects(store, clock)
    await resolver.resolve("k")
    store.is_down = True
    for _ in range(100):
        clock.now += 60
        assert (await resolver.resolve("k")).key_id == "key_1"
    with pytest.raises(UnavailableError) as refused:
        await resolver.resolve("never seen")
    assert refused.value.status == 503
    asked = len(store.asked)
    assert (await resolver.resolve("k")).key_id == "key_1"
    assert len(store.asked) == asked
    store.is_down = False
    clock.now += 60
    assert (await resolver.resolve("k")).key_id == "key_1"
    assert len(store.asked) == asked + 1


async def test_an_expired_key_ends_at_its_time_also_while_cached() -> None:
    soon = datetime.now(UTC) - timedelta(seconds=1)
    store = Store({digest("k"): Record(expires_at=soon)})
    resolver = projects(store)
    await resolver.resolve("k")
    assert resolver.cached("k") is None
    store.is_down = True
    with pytest.raises(UnavailableError):
        await resolver.resolve("k")


async def test_guessed_keys_stay_bounded_and_do_not_push_out_known_ones() -> None:
    store = Store({digest("k"): Record()})
    resolver = projects(store)
    await resolver.resolve("k")
    for number in range(10_500):
        with pytest.raises(AuthenticationError):
            await resolver.resolve(f"guess-{number}")
    asked = len(store.asked)
    assert resolver.cached("k") is not None
    with pytest.raises(AuthenticationError):
        await resolver.resolve("guess-10499")
    assert len(store.asked) == asked
    with pytest.raises(AuthenticationError):
        await resolver.resolve("guess-0")
    assert len(store.asked) == asked + 1


async def test_closing_ends_lookups_under_way() -> None:
    store = Store(gate=asyncio.Event())
    resolver = projects(store)
    waiting = asyncio.ensure_future(resolver.resolve("k"))
    await settled()
    await resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_rates_can_be_switched_off_and_budgets_cannot() -> None:
    resolver = projects(rate_limit_enabled=False, rate_limit_tpm=100, budget_day_usd=2.5)
    assert resolver.policy("team").limits == Limits(budget_day_usd=2.5)
