"""Tokens, requests at once and money against a real server, with reservations settled by use."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.context import Caller, Project
from gateway.policies import NO_LIMITS, Limits
from gateway.reliability.admission import AdmissionControl
from gateway.reliability.limits import LimitReachedError
from gateway.reliability.reservation import Reservation
from gateway.reliability.spending import Spending
from gateway.storage.valkey import Valkey
from gateway.telemetry.metrics import MetricStore
from tests.integration.valkey_server import ValkeyServer

BODY = b"x" * 36_000
"""Takes 10,000 tokens by estimate: 9,000 in, 1,000 out."""
USD_PER_TOKEN = 1e-5


class Store:
    """What the database would say; can be asked how often."""

    def __init__(self, day: float, month: float) -> None:
        self.sums = (day, month)
        self.asked: list[tuple[str, str | None]] = []

    async def spent(self, project: str, key_id: str | None) -> tuple[float, float]:
        self.asked.append((project, key_id))
        return self.sums


@pytest.fixture
async def valkey(server: ValkeyServer) -> AsyncIterator[Valkey]:
    client = Valkey(server.url)
    yield client
    await client.close()


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[MetricStore]:
    store = MetricStore(tmp_path / "metrics", "api")
    yield store
    store.close()


def caller(own: Limits = NO_LIMITS, **limits: float) -> Caller:
    allowed = Limits(**limits)  # type: ignore[arg-type]
    return Caller(Project("team", allowed), "key_1", frozenset({"chat"}), own)


def control(valkey: Valkey, metrics: MetricStore, store: Store | None = None) -> AdmissionControl:
    return AdmissionControl(
        valkey, metrics, Spending(store), processes=2, usd_per_token=USD_PER_TOKEN
    )


async def admitted(admission: AdmissionControl, who: Caller) -> Reservation:
    pending = admission.admit(who, BODY)
    await pending
    assert pending.reservation is not None
    return pending.reservation


async def taken(admission: AdmissionControl, who: Caller) -> None:
    await admission.admit(who, BODY)


async def refused_for(admission: AdmissionControl, who: Caller) -> LimitReachedError:
    with pytest.raises(LimitReachedError) as refused:
        await admission.admit(who, BODY)
    return refused.value


async def test_tokens_are_reserved_and_settled_over_processes(
    valkey: Valkey, metrics: MetricStore
) -> None:
    one, two = control(valkey, metrics), control(valkey, metrics)
    await valkey.start()
    who = caller(tokens_per_minute=25_000)
    first = await admitted(one, who)
    await taken(two, who)
    refused = await refused_for(one, who)
    assert refused.code == "rate_limit_exceeded"
    assert 55 < (refused.retry_after_seconds or 0) <= 61
    assert refused.admission.tokens is not None
    assert refused.admission.tokens.remaining == 5_000
    first.settle(2_000, 0)
    await taken(two, who)  # 12,000 of 25,000 were used


async def test_an_estimate_above_the_limit_waits_for_an_empty_window(
    valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    who = caller(tokens_per_minute=3_000)
    await taken(admission, who)
    assert (await refused_for(admission, who)).admission.tokens is not None


async def test_parallel_requests_never_pass_the_limit_of_requests_at_once(
    valkey: Valkey, metrics: MetricStore
) -> None:
    one, two = control(valkey, metrics), control(valkey, metrics)
    await valkey.start()
    who = caller(concurrent_requests=4)
    outcomes = await asyncio.gather(
        *(admitted(admission, who) for admission in (one, two) for _ in range(10)),
        return_exceptions=True,
    )
    held = [outcome for outcome in outcomes if isinstance(outcome, Reservation)]
    assert len(held) == 4
    assert (await refused_for(two, who)).code == "concurrency_limit_exceeded"
    held[0].settle(0, 0)
    await taken(two, who)


async def test_p49_parallel_requests_pass_a_budget_by_less_than_one_each(
    valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    who = caller(budget_day_usd=1.0)  # ten estimates of 0.1
    outcomes = await asyncio.gather(
        *(admitted(admission, who) for _ in range(40)), return_exceptions=True
    )
    held = [outcome for outcome in outcomes if isinstance(outcome, Reservation)]
    assert len(held) == 10
    for pending in held:
        pending.settle(1, 30_000)  # each costs 0.03: reservations are replaced, not added to
    for _ in range(7):
        await taken(admission, who)
    refused = await refused_for(admission, who)
    assert refused.code == "insufficient_quota"
    assert not refused.retryable
    assert 0 < (refused.retry_after_seconds or 0) <= 86_400


async def test_a_spent_budget_is_told_before_limits_that_pass(
    valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    who = caller(requests_per_minute=1, concurrent_requests=1, budget_day_usd=0.05)
    (await admitted(admission, who)).settle(1, 60_000)
    assert (await refused_for(admission, who)).code == "insufficient_quota"


async def test_a_key_has_limits_beside_those_of_its_project(
    valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    who = caller(Limits(requests_per_minute=2), requests_per_minute=100)
    for _ in range(2):
        await taken(admission, who)
    refused = await refused_for(admission, who)
    assert "this key" in refused.message
    others = Caller(who.project, "key_2", who.scopes)
    pending = admission.admit(others, BODY)
    left = (await pending).requests
    assert left is not None
    assert left.remaining == 97  # a refused request counts nowhere


async def test_what_is_refused_or_dropped_reserves_nothing(
    valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    who = caller(concurrent_requests=1, tokens_per_minute=100_000)
    unread = admission.admit(who, BODY)
    unread.drop()  # before its reply has come
    await valkey.call("PING")
    read = admission.admit(who, BODY)
    await read
    read.drop()
    await valkey.call("PING")
    last = await admitted(admission, who)
    await refused_for(admission, who)
    last.settle(0, 0)
    last.settle(90_000, 0)  # counts once
    await taken(admission, who)


async def test_a_server_that_lost_its_memory_does_not_reset_a_budget(
    server: ValkeyServer, valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    who = caller(budget_month_usd=1.0)
    (await admitted(admission, who)).settle(1, 2_000_000)
    await refused_for(admission, who)
    await valkey.call("FLUSHALL")
    await valkey.call("SCRIPT", "FLUSH")
    assert (await refused_for(admission, who)).code == "insufficient_quota"
    # Another process, which has spent nothing, is told by the server.
    await refused_for(control(valkey, metrics), who)


async def test_a_new_process_learns_from_the_database_what_was_spent(
    valkey: Valkey, metrics: MetricStore
) -> None:
    store = Store(0.2, 7.5)
    spending = Spending(store)
    admission = AdmissionControl(
        valkey, metrics, spending, processes=1, usd_per_token=USD_PER_TOKEN
    )
    await valkey.start()
    who = caller(Limits(budget_month_usd=7.0), budget_day_usd=5.0)
    (await admitted(admission, who)).settle(0, 0)
    await spending.refresh()
    assert sorted(store.asked, key=str) == [("team", "key_1"), ("team", None)]
    assert "this key" in (await refused_for(admission, who)).message


async def test_without_the_server_the_process_goes_on_with_what_it_knows(
    server: ValkeyServer, valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    who = caller(concurrent_requests=4, budget_day_usd=1.0)
    before = await admitted(admission, who)
    server.freeze()
    begun = time.monotonic()
    during = await admitted(admission, who)
    assert time.monotonic() - begun < 1.0
    await refused_for(admission, who)  # two of four are this process's share
    before.settle(1, 1_500_000)
    assert (await refused_for(admission, who)).code == "insufficient_quota"
    during.settle(0, 0)
    server.thaw()


async def test_a_request_whose_process_died_is_forgotten_with_its_lease(
    valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    who = caller(concurrent_requests=1)
    await taken(admission, who)
    key = "gateway:{team}:in-flight"
    [member] = await valkey.call("ZRANGE", key, 0, -1)
    now, _ = await valkey.call("TIME")
    assert 80 < int(await valkey.call("ZSCORE", key, member)) / 1e6 - int(now) <= 91
    await valkey.call("ZADD", key, "XX", 1, member)
    await taken(admission, who)
