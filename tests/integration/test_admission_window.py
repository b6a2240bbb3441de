"""Admission against a real server: exact window, shared by processes, and alone without Valkey."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.context import Caller, Project
from gateway.policies import Limits
from gateway.reliability.admission import AdmissionControl
from gateway.reliability.limits import Admission, LimitReachedError
from gateway.reliability.spending import Spending
from gateway.storage.valkey import Valkey
from gateway.telemetry.metrics import MetricStore
from tests.integration.valkey_server import ValkeyServer


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


def caller(project: str = "default", limit: int = 5) -> Caller:
    limits = Limits(requests_per_minute=limit)
    return Caller(Project(project, limits), "key", frozenset({"chat"}))


def control(valkey: Valkey, metrics: MetricStore, *, processes: int = 1) -> AdmissionControl:
    return AdmissionControl(valkey, metrics, Spending(None), processes=processes)


async def attempt(admission: AdmissionControl, who: Caller) -> Admission:
    try:
        return await admission.admit(who)
    except LimitReachedError as refused:
        return refused.admission


def left(admission: Admission) -> int:
    assert admission.requests is not None
    return admission.requests.remaining


def wait(admission: Admission) -> float:
    assert admission.refusal is not None
    return admission.refusal.wait_seconds


async def age_log(valkey: Valkey, project: str, seconds: list[float]) -> None:
    """Put requests into the window that were admitted so many seconds ago."""
    now, micros = await valkey.call("TIME")
    moment = int(now) * 1_000_000 + int(micros)
    key = f"gateway:{{{project}}}:requests"
    await valkey.call("RPUSH", key, *(moment - int(age * 1e6) for age in seconds))


async def test_the_limit_holds_exactly_under_a_burst(valkey: Valkey, metrics: MetricStore) -> None:
    first = control(valkey, metrics)
    second = control(valkey, metrics)
    await valkey.start()
    outcomes = await asyncio.gather(
        *(attempt(admission, caller(limit=20)) for admission in (first, second) for _ in range(30))
    )
    admitted = [outcome for outcome in outcomes if outcome.admitted]
    assert sorted(left(outcome) for outcome in admitted) == list(range(20))
    assert not any(outcome.degraded for outcome in outcomes)
    text = (await metrics.render()).decode()
    assert 'gateway_rate_limit_hits_total{project="default"} 40.0' in text


async def test_one_call_for_each_request_and_none_without_limits(
    valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    calls, round_trips = valkey.calls, valkey.round_trips
    await admission.admit(caller())
    assert (valkey.calls - calls, valkey.round_trips - round_trips) == (1, 1)
    free = Caller(Project("free"), "key", frozenset({"chat"}))
    for _ in range(20):
        assert (await admission.admit(free)).requests is None
    assert valkey.calls - calls == 1


async def test_retry_after_is_when_the_oldest_slot_frees(
    valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    await age_log(valkey, "default", [45.0, 30.0, 10.0])
    with pytest.raises(LimitReachedError) as refused:
        await admission.admit(caller(limit=3))
    assert refused.value.retry_after_seconds == pytest.approx(15.0, abs=2.0)
    requests = refused.value.admission.requests
    assert requests is not None
    assert requests.reset_seconds == pytest.approx(50.0, abs=2.0)
    assert refused.value.status == 429


async def test_requests_leave_the_window_one_by_one(valkey: Valkey, metrics: MetricStore) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    await age_log(valkey, "default", [500.0, 90.0, 61.0, 30.0])
    outcomes = [await attempt(admission, caller(limit=4)) for _ in range(4)]
    assert [left(outcome) for outcome in outcomes] == [2, 1, 0, 0]
    assert [outcome.admitted for outcome in outcomes] == [True, True, True, False]
    assert await valkey.call("LLEN", "gateway:{default}:requests") == 4


async def test_a_long_log_of_the_past_is_cut_in_one_step(
    valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    await age_log(valkey, "default", [100.0 - n / 100 for n in range(9000)])
    outcome = await admission.admit(caller(limit=100_000))
    # Of 9000 ages from 100 s down to 10.01 s those below 60 s count, give or take the test's time.
    assert 100_000 - left(outcome) == pytest.approx(5000, abs=200)


async def test_a_lowered_limit_waits_for_as_many_slots_as_are_too_many(
    valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    await age_log(valkey, "default", [50.0, 40.0, 20.0])
    outcome = await attempt(admission, caller(limit=2))
    assert wait(outcome) == pytest.approx(20.0, abs=2.0)


async def test_a_clock_that_was_set_back_does_not_shut_the_project_out(
    valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    await age_log(valkey, "default", [-3600.0, -3600.0])
    assert left(await admission.admit(caller(limit=2))) == 1


async def test_projects_do_not_share_a_window_and_their_keys_expire(
    valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    assert (await attempt(admission, caller("one", 1))).admitted
    assert (await attempt(admission, caller("two", 1))).admitted
    assert not (await attempt(admission, caller("one", 1))).admitted
    assert 55_000 < await valkey.call("PTTL", "gateway:{one}:requests") <= 61_000


async def test_p53_without_valkey_each_process_takes_its_share(
    server: ValkeyServer, valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics, processes=3)
    await valkey.start()
    assert left(await admission.admit(caller(limit=12))) == 11
    server.freeze()
    begun = time.monotonic()
    outcomes = [await attempt(admission, caller(limit=12)) for _ in range(10)]
    assert time.monotonic() - begun < 1.0
    # Three of the share of four are left: the one admitted before counts here as well.
    assert [outcome.admitted for outcome in outcomes] == [True] * 3 + [False] * 7
    assert all(outcome.degraded for outcome in outcomes)
    assert {outcome.requests.limit for outcome in outcomes if outcome.requests} == {4}
    assert 50.0 < wait(outcomes[-1]) <= 60.0
    server.thaw()


async def test_an_admission_may_be_dropped_unawaited(
    server: ValkeyServer, valkey: Valkey, metrics: MetricStore
) -> None:
    admission = control(valkey, metrics)
    await valkey.start()
    _ = admission.admit(caller())
    server.kill()
    _ = admission.admit(caller())
    assert (await admission.admit(caller())).degraded
