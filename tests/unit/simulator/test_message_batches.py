"""How the simulator's batches end: by age, cancel and expiry."""

from typing import Any

import orjson
import pytest

from simulator.batch_faults import BatchFaults, fault_from
from simulator.errors import ApiError
from simulator.message_batches import BatchTimes, MessageBatch, MessageBatches

START = 1_000.0
TIMES = BatchTimes(end_seconds=100.0, cancel_seconds=5.0, expiry_seconds=86_400.0, first_share=0.5)


def made(size: int = 4) -> MessageBatch:
    batch = MessageBatch("a", [f"c{number}" for number in range(size)], [b"{}"] * size, START)
    batch.answers = [b'{"type":"succeeded"}'] * size
    batch.answered_at = START + 1
    return batch


def results(batch: MessageBatch, salt: bytes = b"") -> dict[str, str]:
    lines = [orjson.loads(line) for line in batch.lines(salt)]
    return {line["custom_id"]: line["result"]["type"] for line in lines}


def test_counts_stay_zero_until_the_whole_batch_has_ended() -> None:
    batch = made()
    batch.settle(START + 99, TIMES)
    assert batch.processing_status == "in_progress"
    assert batch.counts() == {
        "processing": 4,
        "succeeded": 0,
        "errored": 0,
        "canceled": 0,
        "expired": 0,
    }
    batch.settle(START + 100, TIMES)
    assert batch.processing_status == "ended"
    assert (batch.counts()["processing"], batch.counts()["succeeded"]) == (0, 4)


def test_a_batch_does_not_end_before_its_answers_are_made() -> None:
    batch = made()
    batch.answered_at = None
    batch.settle(START + 1000, TIMES)
    assert batch.processing_status == "in_progress"


def test_a_cancel_keeps_what_is_done() -> None:
    batch = made()
    batch.errored = {1, 3}
    batch.cancel_initiated_at = START + 10
    batch.settle(START + 14, TIMES)
    assert batch.processing_status == "canceling"
    batch.settle(START + 15, TIMES)
    assert batch.counts() == {
        "processing": 0,
        "succeeded": 1,
        "errored": 1,
        "canceled": 2,
        "expired": 0,
    }
    assert results(batch)["c3"] == "canceled"


def test_a_batch_that_takes_too_long_expires() -> None:
    batch = made()
    short = BatchTimes(end_seconds=100, cancel_seconds=0, expiry_seconds=50, first_share=0.25)
    batch.settle(START + 51, short)
    assert batch.counts()["expired"] == 3
    assert sorted(results(batch).values()) == ["expired"] * 3 + ["succeeded"]


def test_how_a_batch_has_ended_does_not_change() -> None:
    batch = made()
    batch.settle(START + 200, TIMES)
    before = batch.shown("http://x", START + 200, TIMES)
    batch.settle(START + 90_000, BatchTimes(1e9, 0, 1, 0))
    assert batch.shown("http://x", START + 200, TIMES) == before


def test_the_order_of_results_is_not_the_order_of_requests_but_lasting() -> None:
    batch = made(50)
    batch.settle(START + 100, TIMES)
    assert list(results(batch)) != batch.custom_ids
    assert sorted(results(batch)) == sorted(batch.custom_ids)
    assert list(results(batch)) == list(results(batch))
    assert list(results(batch, b"1")) != list(results(batch, b"2"))


def test_results_go_29_days_after_creation() -> None:
    batch = made()
    batch.settle(START + 100, TIMES)
    days = 86_400.0
    assert batch.shown("http://x", START + 28 * days, TIMES)["results_url"] is not None
    archived = batch.shown("http://x", START + 29 * days, TIMES)
    assert archived["results_url"] is None
    assert archived["archived_at"] is not None


def test_accounts_see_their_own_batches_only() -> None:
    batches = MessageBatches()
    mine, other = made(), made()
    other.account = "b"
    batches.add(mine)
    batches.add(other)
    assert batches.newest_first("a") == [mine]
    assert batches.find("a", other.id) is None
    batches.remove(mine)
    assert len(batches) == 1


def test_faults_are_taken_in_order_and_used_up() -> None:
    faults = BatchFaults()
    faults.add({"on": "get", "times": 2, "cut": True})
    faults.add({"on": "get", "error": {"type": "overloaded_error"}})
    taken = [faults.take("get") for _ in range(4)]
    assert [fault is not None and fault.cut for fault in taken] == [True, True, False, False]
    assert taken[2] is not None
    assert taken[2].error is not None
    assert taken[2].error.status == 529
    assert taken[3] is None
    assert faults.take("create") is None


@pytest.mark.parametrize("value", [{"on": "nothing"}, {"on": "get", "tims": 1}, {}])
def test_a_fault_that_is_not_understood_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ApiError):
        fault_from(value)
