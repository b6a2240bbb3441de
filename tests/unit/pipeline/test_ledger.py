"""What a request leaves in the ledger: its event, its counters, its judge."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import wire
from gateway.catalog.models import load_catalog
from gateway.cohorts import Cohorts
from gateway.context import Caller, Project, RequestContext
from gateway.errors import UpstreamCutError, UpstreamError
from gateway.pipeline.accounting import Account, Accounting, Asked
from gateway.pipeline.attempts import Begun
from gateway.pipeline.cached_answers import ArrivedAnswer
from gateway.pipeline.reply import AssembledReply
from gateway.protocols.shared.sse import SSEFramer
from gateway.protocols.shared.usage import UsageMeter
from gateway.reduction.pass_guard import PassGuard
from gateway.reduction.report import ReductionReport
from gateway.routing.names import Route
from gateway.storage.valkey import Valkey
from gateway.telemetry.metrics import MetricStore
from gateway.usage.journal import Journal
from gateway.usage.segments import files_in, read_all
from tests.support.messages_stream import end, event, start, text

CATALOG = load_catalog()
CHAT = "/v1/chat/completions"


@pytest.fixture
def accounting(tmp_path: Path) -> Iterator[Accounting]:
    journal = Journal(tmp_path / "journal", "api")
    metrics = MetricStore(tmp_path / "metrics", "api")
    guard = PassGuard(Valkey("redis://127.0.0.1:1/0"))
    yield Accounting(journal, metrics, CATALOG, "anthropic", guard)
    journal.shut()
    metrics.close()


def opened(
    accounting: Accounting,
    report: ReductionReport | None,
    *,
    endpoint: str = CHAT,
    unmarked: bool = False,
    model: str = "claude-sonnet-5-5",
) -> Account:
    context = RequestContext("req_1", endpoint, {"user-agent": "Continue/1.2"}, 0.0)
    context.caller = Caller(Project("web"), "bootstrap", frozenset({"chat"}))
    found = CATALOG.find(model)
    assert found is not None
    asked = Asked(model, False, reduction=report, unmarked=unmarked)
    return accounting.open(context, asked, Route(found, "anthropic", "explicit"))


def metered(**tokens: int) -> UsageMeter:
    meter = UsageMeter(started=True, completed=True)
    for name, count in tokens.items():
        setattr(meter, name, count)
    return meter


def reduced() -> ReductionReport:
    report = ReductionReport("c1", sent_chars=40_000, marks=3, lifetime="5m")
    report.note("references", 4000, 1000)
    report.note("diff_first", -400, -400)
    return report


USED = {"input_tokens": 500, "cache_read_tokens": 8000, "cache_write_5m_tokens": 1500}


def closed(accounting: Accounting) -> dict[str, Any]:
    assert isinstance(accounting.journal, Journal)
    (file,) = files_in(accounting.journal.directory)
    return [record for record in read_all(file) if record["record"] == "close"][-1]


def recorded(accounting: Accounting) -> list[str]:
    assert isinstance(accounting.journal, Journal)
    (file,) = files_in(accounting.journal.directory)
    return [record["record"] for record in read_all(file)]


def test_an_answer_that_came_whole_is_journaled_by_its_end(accounting: Accounting) -> None:
    account, meter = opened(accounting, None), metered(**USED)
    account.begun = Begun(ArrivedAnswer(), SSEFramer(), [], b"", 1)
    account.began(meter)
    account.settle(meter, None, False)
    assert recorded(accounting) == ["open", "close"]


class UnendedAnswer(ArrivedAnswer):
    """All events have come, the end of the framing has not."""

    @property
    def is_complete(self) -> bool:
        return False


@pytest.mark.parametrize("completed", [True, False])
def test_an_answer_that_is_waited_for_is_journaled_when_it_begins(
    accounting: Accounting, completed: bool
) -> None:
    account = opened(accounting, None)
    account.begun = Begun(UnendedAnswer(), SSEFramer(), [], b"", 1)
    account.began(UsageMeter(started=True, completed=completed, input_tokens=5))
    assert recorded(accounting) == ["open", "start"]


BEGUN = start(input_tokens=7) + text(0, "Hel")


def assembled(account: Account, *pieces: bytes) -> AssembledReply:
    framer = SSEFramer()
    begun = Begun(ArrivedAnswer(), framer, framer.feed(b"".join(pieces)), b"", 1)
    account.begun = begun
    return AssembledReply(begun, account, lambda collected: wire.dumps(collected.message))


async def test_a_whole_answer_is_taken_in_once(accounting: Accounting) -> None:
    reply = assembled(opened(accounting, None), BEGUN, end("end_turn", output_tokens=3))
    message = wire.loads(await reply.whole())
    assert message["content"] == [{"type": "text", "text": "Hel"}]
    reply.settle()
    reply.settle()
    assert recorded(accounting) == ["open", "close"]
    assert closed(accounting)["input_tokens"] == 7
    assert closed(accounting)["status"] == "ok"


async def test_what_has_come_counts_where_nobody_waits_for_the_rest(accounting: Accounting) -> None:
    reply = assembled(opened(accounting, None), BEGUN)
    reply.settle()
    assert recorded(accounting) == ["open", "start", "close"]
    assert closed(accounting)["input_tokens"] == 7
    assert closed(accounting)["status"] == "aborted"


async def test_an_answer_that_cannot_be_read_is_settled_once(accounting: Accounting) -> None:
    garbage = event("content_block_start", index=0, content_block="text")
    reply = assembled(opened(accounting, None), start(input_tokens=7), garbage)
    with pytest.raises(UpstreamError):
        await reply.whole()
    reply.settle()
    assert closed(accounting)["input_tokens"] == 7
    assert closed(accounting)["status"] == "error"


async def test_a_client_that_leaves_between_two_steps_is_billed_once(
    accounting: Accounting,
) -> None:
    cohorts, account = Cohorts(), opened(accounting, None)
    account.context.cohorts = cohorts
    reply = assembled(account, BEGUN, end("end_turn", output_tokens=3))

    async def one_of_two() -> None:
        await cohorts.enter()
        await cohorts.step()

    async def served() -> None:
        await cohorts.enter()
        try:
            await reply.whole()
        finally:
            reply.settle()

    other, client = asyncio.create_task(one_of_two()), asyncio.create_task(served())
    for _ in range(3):
        await asyncio.sleep(0)
    assert recorded(accounting) == ["open"]  # it stands between two steps
    client.cancel()
    await asyncio.gather(client, other, return_exceptions=True)
    assert client.cancelled()
    assert recorded(accounting) == ["open", "close"]
    assert closed(accounting)["output_tokens"] == 3


def samples(accounting: Accounting) -> dict[str, float]:
    text = asyncio.run(accounting.metrics.render()).decode()
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_a_reduced_request_is_in_its_event_counted_and_judged(accounting: Accounting) -> None:
    account = opened(accounting, reduced())
    account.settle(metered(**USED), None, False)
    event = closed(accounting)
    assert event["billed_input_usd"] == 0.00555
    assert event["baseline_input_usd"] == pytest.approx(10_900 * 2e-6)
    techniques = event["reduction"]["techniques"]
    assert {name: each["tokens"] for name, each in techniques.items()} == {
        "cache": 0,
        "references": 1000,
        "diff_first": -100,
    }
    assert (event["reduced"], event["held_out"]) == (True, False)
    seen = samples(accounting)
    expected = {
        'gateway_input_billed_usd_total{project="web"}': 0.00555,
        'gateway_input_baseline_usd_total{project="web"}': 0.0218,
        'gateway_reduced_tokens_total{project="web",technique="references"}': 1000,
        'gateway_added_tokens_total{project="web",technique="diff_first"}': 100,
        'gateway_cache_tokens_total{kind="read"}': 8000,
        'gateway_cache_tokens_total{kind="write_5m"}': 1500,
        'gateway_cache_tokens_total{kind="uncached"}': 500,
    }
    assert {name: seen.get(name) for name in expected} == pytest.approx(expected)
    assert accounting.pass_guard is not None
    (state,) = accounting.pass_guard.states()
    assert (state["project"], state["client"], state["technique"]) == (
        "web",
        "continue",
        "references",
    )
    assert state["net_usd"] == pytest.approx(techniques["references"]["usd"])


def test_messages_are_measured_against_what_the_client_sent(accounting: Accounting) -> None:
    opened(accounting, None, endpoint="/v1/messages").settle(metered(**USED), None, False)
    event = closed(accounting)
    assert event["baseline_input_usd"] == event["billed_input_usd"] == 0.00555
    assert event["reduction"] == {"techniques": {}}
    seen = samples(accounting)
    assert not any(name.startswith("gateway_input_b") for name in seen)
    assert seen['gateway_cache_tokens_total{kind="read"}'] == 8000
    account = opened(accounting, reduced(), endpoint="/v1/messages", unmarked=True)
    account.settle(metered(**USED), None, False)
    assert closed(accounting)["baseline_input_usd"] == pytest.approx(0.0218)


def test_a_request_that_is_held_out_saves_nothing(accounting: Accounting) -> None:
    report = ReductionReport("c1", sent_chars=40_000, held_out=True)
    opened(accounting, report).settle(metered(input_tokens=10_000), None, False)
    event = closed(accounting)
    assert (event["reduced"], event["held_out"]) == (False, True)
    assert event["baseline_input_usd"] == event["billed_input_usd"] == 0.02


def test_without_usage_nothing_is_claimed(accounting: Accounting) -> None:
    account = opened(accounting, reduced())
    account.failed(UpstreamCutError("cut"))
    event = closed(accounting)
    assert event["baseline_input_usd"] is event["billed_input_usd"] is event["reduction"] is None
    opened(accounting, reduced()).left()
    opened(accounting, reduced()).settle(UsageMeter(), UpstreamCutError("cut"), False)
    assert closed(accounting)["baseline_input_usd"] is None
    assert not any("_usd_total{" in name and "input" in name for name in samples(accounting))


def test_a_cut_answer_is_measured_by_the_prompt_that_was_billed(accounting: Accounting) -> None:
    meter = metered(**USED)
    meter.completed = False
    opened(accounting, reduced()).settle(meter, None, True)
    event = closed(accounting)
    assert (event["status"], event["billed_input_usd"]) == ("aborted", 0.00555)


def test_an_unknown_price_is_null_in_the_event(accounting: Accounting) -> None:
    account = opened(accounting, reduced(), model="claude-mythos-5-2")
    account.settle(metered(**USED), None, False)
    event = closed(accounting)
    assert event["cost_usd"] is event["baseline_input_usd"] is event["billed_input_usd"] is None
