"""Records stay within bounds and show no credentials; scripts match and are used up."""

from typing import Any

import pytest

from simulator.errors import ApiError
from simulator.recorder import MAX_BYTES, MAX_RECORDS, Record, Recorder
from simulator.scripts import ScriptQueue


def record(number: int, body: bytes = b"{}", path: str = "/v1/messages") -> Record:
    headers = [("Authorization", "Bearer secret"), ("x-api-key", "secret"), ("accept", "*/*")]
    return Record(number, "POST", path, "", headers, 0.0, body=body)


def test_old_records_go_when_there_are_too_many() -> None:
    recorder = Recorder()
    for number in range(MAX_RECORDS + 5):
        recorder.add(record(number))
    numbers = [item["number"] for item in recorder.listing()]
    assert (len(numbers), numbers[0]) == (MAX_RECORDS, 5)


def test_old_records_go_when_bodies_are_too_big() -> None:
    recorder = Recorder()
    for number in range(4):
        recorder.add(record(number, bytes(MAX_BYTES // 2)))
    assert [item["number"] for item in recorder.listing()] == [2, 3]


def test_records_can_be_chosen_and_carry_no_credentials() -> None:
    recorder = Recorder()
    for number, path in enumerate(("/a", "/b", "/a", "/a")):
        recorder.add(record(number, b'{"x": 1}', path))
    shown = recorder.listing("/a", 2)
    assert [item["number"] for item in shown] == [2, 3]
    assert shown[0]["headers"] == [
        ["Authorization", "Bearer ***"],
        ["x-api-key", "***"],
        ["accept", "*/*"],
    ]
    assert shown[0]["body"] == {"x": 1}
    assert "secret" not in str(shown)


@pytest.mark.parametrize(
    ("match", "found"),
    [
        ({}, True),
        ({"contains": "ell"}, True),
        ({"contains": "zzz"}, False),
        ({"model": "m"}, True),
        ({"model": "n"}, False),
        ({"header": {"X-Test": "1"}}, True),
        ({"header": {"X-Test": "2"}}, False),
    ],
)
def test_a_script_answers_the_requests_it_matches(match: dict[str, Any], found: bool) -> None:
    queue = ScriptQueue()
    queue.add({"blocks": [], "match": match})
    assert (queue.take("hello", "m", {"x-test": "1"}) is not None) is found
    assert queue.take("hello", "m", {"x-test": "1"}) is None


def test_scripts_are_used_as_often_as_they_say() -> None:
    queue = ScriptQueue()
    queue.add({"blocks": [], "times": 2})
    queue.add({"stop_reason": "end_turn", "times": None})
    taken = [queue.take("", "m", {}) for _ in range(5)]
    assert [script is not None and "blocks" in script for script in taken] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert taken[-1] is not None


def test_a_wrong_script_is_refused_when_it_is_added() -> None:
    with pytest.raises(ApiError, match="Extra inputs"):
        ScriptQueue().add({"bloks": []})
