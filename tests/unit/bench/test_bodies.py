"""The bodies have the sizes the goals speak of, and are the same in every run."""

import hashlib
import itertools

import orjson
import pytest

from bench import bodies
from simulator.instant import shape_of
from simulator.instant_answers import Shape

_MARKER = bodies.deltas_marker(20)


def test_the_small_body_has_its_size() -> None:
    body = bodies.small_body(_MARKER, stream=False)
    assert len(body) == bodies.SMALL_BYTES
    assert orjson.loads(body)["stream"] is False


def test_the_large_body_is_a_late_turn_of_an_agent() -> None:
    body = bodies.large_body(_MARKER)
    request = orjson.loads(body)
    results = [one for one in request["messages"] if one["role"] == "tool"]
    size = sum(len(one["content"].encode()) for one in results)
    assert abs(len(body) - bodies.LARGE_BYTES) <= 100
    assert len(request["messages"]) == bodies.LARGE_MESSAGES
    assert len(request["tools"]) == bodies.LARGE_TOOLS
    assert len(results) == bodies.LARGE_TOOL_RESULTS
    assert 125_000 <= size <= 135_000


def test_every_tool_result_answers_a_call() -> None:
    messages = orjson.loads(bodies.large_body(_MARKER))["messages"]
    for before, message in itertools.pairwise(messages):
        if message["role"] == "tool":
            assert before["tool_calls"][0]["id"] == message["tool_call_id"]


def test_bodies_do_not_change_between_runs() -> None:
    first, second = (hashlib.sha256(bodies.large_body(_MARKER)).digest() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("body", [bodies.small_body(_MARKER, stream=True), bodies.large_body("")])
def test_each_request_gets_a_number_of_its_own_and_keeps_its_length(body: bytes) -> None:
    parts = bodies.split_at_serial(body)
    sent = {bodies.numbered(parts, serial) for serial in (1, 2, 10**12 - 1)}
    assert len(sent) == 3
    assert {len(one) for one in sent} == {len(body)}
    assert all(orjson.loads(one)["messages"] for one in sent)


@pytest.mark.parametrize("body", [b"{}", bodies.SERIAL_PLACE * 2])
def test_a_body_without_one_place_for_the_number_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="exactly one place"):
        bodies.split_at_serial(body)


def test_the_simulator_understands_the_markers() -> None:
    paced = bodies.small_body(bodies.deltas_marker(300, "0.01"), stream=True)
    stepped = bodies.small_body(bodies.deltas_marker(1000, "step"), stream=True)
    assert shape_of([], paced) == Shape(count=300, chars=5, interval=0.01)
    assert shape_of([], stepped) == Shape(count=1000, chars=5, stepped=True)
