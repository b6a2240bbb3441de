"""The judge of passes on a real Valkey: shared by processes, and well without one."""

import logging
import uuid
from collections.abc import AsyncIterator

import pytest

from gateway.reduction.pass_guard import PassGuard
from gateway.reduction.pass_record import FEWEST_CONVERSATIONS, TRIAL_SHARE
from gateway.storage.valkey import Valkey

WEEK = 7 * 86_400.0
ENOUGH = FEWEST_CONVERSATIONS
NOWHERE = "redis://127.0.0.1:1/0"


class Clock:
    """A time that a test sets; each test has weeks of its own."""

    def __init__(self) -> None:
        self.now = uuid.uuid4().int % 10**9 * WEEK

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def valkey(valkey_url: str) -> AsyncIterator[Valkey]:
    client = Valkey(valkey_url, timeout_seconds=5.0)
    await client.start()
    yield client
    await client.close()


def losing(guard: PassGuard, count: int = ENOUGH, usd: float = -0.01, name: str = "c") -> None:
    for number in range(count):
        guard.note("web", "aider", f"{name}{number}", [("references", usd), ("cache", 5.0)], 1.0)


def trials(guard: PassGuard, client: str = "aider", technique: str = "references") -> float:
    """The share of new conversations that may use the pass."""
    ids = [number.to_bytes(16) for number in range(4000)]
    return sum(guard.allowed("web", client, technique, each) for each in ids) / len(ids)


async def test_a_pass_that_loses_is_switched_off_for_its_client_alone(
    valkey: Valkey, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    guard = PassGuard(valkey, clock)
    losing(guard)
    assert trials(guard) == 1.0, "nothing is judged on a request's time"
    await guard.refresh()
    await guard.refresh()
    assert trials(guard) == pytest.approx(TRIAL_SHARE, abs=0.02)
    assert trials(guard, client="continue") == 1.0
    assert trials(guard, technique="caps") == 1.0
    assert caplog.messages.count("pass_switched_off") == 1
    (state,) = guard.states()
    assert (state["project"], state["client"], state["technique"]) == ("web", "aider", "references")
    assert state["switched_off"]
    assert state["conversations"] == ENOUGH
    assert state["net_usd"] == pytest.approx(-0.01 * ENOUGH)


async def test_processes_judge_by_what_all_have_seen_and_draw_the_same_trials(
    valkey: Valkey, clock: Clock
) -> None:
    first, second = PassGuard(valkey, clock), PassGuard(valkey, clock)
    losing(first, ENOUGH // 2, name="a")
    losing(second, ENOUGH // 2, name="b")
    await first.refresh()
    await second.refresh()
    await first.refresh()
    assert trials(first) == trials(second) < 1.0
    ids = [number.to_bytes(16) for number in range(500)]
    drawn = [
        [guard.allowed("web", "aider", "references", each) for each in ids]
        for guard in (first, second)
    ]
    assert drawn[0] == drawn[1]


async def test_a_pass_comes_back_when_its_record_has_aged_away(
    valkey: Valkey, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    guard = PassGuard(valkey, clock)
    losing(guard)
    await guard.refresh()
    clock.now += WEEK
    await guard.refresh()
    assert trials(guard) == 1.0, "half the weight is too few to go on"
    assert caplog.messages.count("pass_switched_on") == 1
    losing(guard, name="again")
    await guard.refresh()
    clock.now += 2 * WEEK
    await guard.refresh()
    assert guard.states() == []


async def test_trials_that_gain_bring_a_pass_back(valkey: Valkey, clock: Clock) -> None:
    guard = PassGuard(valkey, clock)
    losing(guard)
    await guard.refresh()
    assert trials(guard) < 1.0
    losing(guard, ENOUGH, usd=0.02, name="trial")
    await guard.refresh()
    assert trials(guard) == 1.0


async def test_without_valkey_a_process_judges_by_itself(clock: Clock) -> None:
    alone = Valkey(NOWHERE)
    guard = PassGuard(alone, clock)
    losing(guard, ENOUGH // 2, name="a")
    await guard.refresh()
    losing(guard, ENOUGH // 2, name="b")
    await guard.refresh()
    assert trials(guard) < 1.0
    await guard.finish()
    assert guard.states()[0]["conversations"] == ENOUGH, "what did not get through waits"


async def test_what_waited_is_shared_when_valkey_is_back(valkey_url: str, clock: Clock) -> None:
    late = Valkey(valkey_url, timeout_seconds=5.0)
    guard = PassGuard(late, clock)
    losing(guard)
    await guard.flush()
    await late.start()
    await guard.flush()
    await guard.flush()
    other = PassGuard(late, clock)
    await other.refresh()
    assert other.states()[0]["conversations"] == ENOUGH
    await late.close()


async def test_long_conversations_count_once(valkey: Valkey, clock: Clock) -> None:
    guard = PassGuard(valkey, clock)
    for _ in range(10 * ENOUGH):
        guard.note("web", "aider", "the same", [("references", -1.0)], 0.0)
    await guard.refresh()
    assert trials(guard) == 1.0
    assert guard.states()[0]["conversations"] == 1


async def test_the_append_log_is_judged_by_all_that_a_request_saved(
    valkey: Valkey, clock: Clock
) -> None:
    guard = PassGuard(valkey, clock)
    for number in range(ENOUGH):
        guard.note("web", "aider", f"good{number}", [("append_log", -0.1)], 0.5)
        guard.note("web", "other", f"bad{number}", [("append_log", 0.1)], -0.5)
    await guard.refresh()
    assert trials(guard, technique="append_log") == 1.0
    assert trials(guard, client="other", technique="append_log") < 1.0


async def test_what_the_input_cannot_show_is_not_judged(valkey: Valkey, clock: Clock) -> None:
    guard = PassGuard(valkey, clock)
    for number in range(ENOUGH):
        guard.note("web", "aider", f"c{number}", [("diff_first", -1.0), ("cache", -1.0)], -2.0)
    await guard.refresh()
    assert guard.states() == []


async def test_clients_that_name_themselves_do_not_fill_the_memory(
    valkey: Valkey, clock: Clock
) -> None:
    guard = PassGuard(valkey, clock)
    for number in range(2000):
        guard.note("web", f"client-{number}", "c", [("caps", -1.0)], 0.0)
    assert len(guard.states()) == 500
