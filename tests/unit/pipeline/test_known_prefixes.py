"""Large bodies: read as if nothing was known, remembered within bounds, never for others."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.errors import InvalidRequestError
from gateway.pipeline.known_prefixes import LARGE_BYTES, KnownPrefixes, Reading
from gateway.protocols import openai_responses
from gateway.protocols.openai_chat import PREFIX_FORM, translate
from tests.support.clock import Clock

LONG = "words " * (LARGE_BYTES // 6 + 1)
TOOLS = [{"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}]
START: list[Any] = [{"role": "system", "content": "Bé brief."}, {"role": "user", "content": LONG}]

Dump = Callable[[Any], bytes]


def spaced(value: Any) -> bytes:
    """With white space around all messages, as clients may write it."""
    return wire.dumps(value).replace(b'},{"role"', b'} ,\n\t {"role"').replace(b"[{", b"[ \r\n {")


def escaped(value: Any) -> bytes:
    """In ASCII only, as Python's own clients write it."""
    text = wire.dumps(value).decode()
    return "".join(each if each < "\x7f" else f"\\u{ord(each):04x}" for each in text).encode()


def turn(number: int, size: int = 1) -> list[Any]:
    function = {"name": "read", "arguments": wire.dumps_text({"path": f"{number}.py"})}
    call = {"id": f"call_{number}", "type": "function", "function": function, "index": 0}
    result = {"role": "tool", "tool_call_id": f"call_{number}", "content": f"«{number}» " * size}
    return [{"role": "assistant", "content": None, "tool_calls": [call]}, result]


def body(turns: int, start: list[Any] | None = None, **fields: Any) -> dict[str, Any]:
    messages = list(START if start is None else start)
    for number in range(turns):
        messages += turn(number)
    return {"model": "auto", "messages": messages, "tools": TOOLS, **fields}


def read(known: KnownPrefixes, data: bytes) -> Reading:
    return known.read("one", data, PREFIX_FORM)


def served(known: KnownPrefixes, data: bytes, project: str = "one") -> Reading:
    """A request as the pipeline treats it."""
    reading = known.read(project, data, PREFIX_FORM)
    assert reading.body == wire.loads_object(data)
    draft, digests = translate(reading.body, reading.prefix), reading.digests()
    assert draft == translate(wire.loads_object(data))
    for message in draft.body["messages"]:
        digests.of_message(message)
    known.keep(reading, digests)
    return reading


def is_known(reading: Reading) -> bool:
    return reading.prefix is not None and reading.prefix.known is not None


@pytest.mark.parametrize("dump", [wire.dumps, spaced, escaped])
def test_a_conversation_that_grows_is_known_from_its_second_turn_on(dump: Dump) -> None:
    known = KnownPrefixes(60)
    for turns in range(6):
        data = dump(body(turns))
        assert is_known(served(known, data)) is (turns > 1)
        served(known, data)
        assert len(known) == min(turns, 1), "one is kept of each conversation"


def test_another_end_of_the_same_beginning_is_known_too() -> None:
    known = KnownPrefixes(60)
    asked = {"role": "user", "content": "And now?"}
    served(known, wire.dumps(body(3)))
    changed = body(3)
    changed["messages"][-1] = {**changed["messages"][-1], "content": "Other"}
    assert is_known(served(known, wire.dumps(changed)))
    changed["messages"] += [asked]
    assert is_known(served(known, wire.dumps(changed)))


def test_digests_are_not_made_again() -> None:
    known = KnownPrefixes(60)
    served(known, wire.dumps(body(3)))
    reading = read(known, wire.dumps(body(4)))
    draft, digests = translate(reading.body, reading.prefix), reading.digests()
    old = draft.body["messages"][: 2 * 2]
    assert all(id(message) in digests._messages for message in old)
    assert all(id(block) in digests._known for message in old for block in message["content"])


def test_small_bodies_are_not_looked_up() -> None:
    known = KnownPrefixes(60)
    small = wire.dumps(body(3, start=[{"role": "user", "content": "short"}]))
    assert served(known, small).prefix is None
    assert len(known) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"tools": []},
        {"tools": [*TOOLS, {"type": "function", "function": {"name": "more"}}]},
        {"functions": [{"name": "old"}]},
        {"system": "Be long."},
        {"prompt_cache_retention": "24h"},
    ],
)
def test_under_other_tools_or_another_system_text_nothing_is_known(change: Any) -> None:
    known = KnownPrefixes(60)
    served(known, wire.dumps(body(3)))
    assert not is_known(served(known, wire.dumps({**body(4), **change})))
    assert is_known(served(known, wire.dumps({**body(4), "stream": True, "user": "u"})))


def test_projects_and_protocols_are_apart() -> None:
    known = KnownPrefixes(60)
    served(known, wire.dumps(body(3)), "one")
    assert not is_known(known.read("two", wire.dumps(body(3)), PREFIX_FORM))
    foreign = {**body(3), "input": body(3)["messages"]}
    assert not is_known(known.read("one", wire.dumps(foreign), openai_responses.PREFIX_FORM))


def test_numbers_and_truth_are_not_confused() -> None:
    known = KnownPrefixes(60)
    for value in (1, True, 1.0, "1"):
        block = {"type": "tool_use", "id": "a", "name": "read", "input": {"line": value}}
        start = [*START, {"role": "assistant", "content": [block]}]
        result = {"role": "tool", "tool_call_id": "a", "content": "x"}
        data = wire.dumps(body(0, start=[*start, result, *turn(1)]))
        reading = served(known, data)
        sent = translate(reading.body, reading.prefix).body["messages"][1]["content"][0]["input"]
        assert wire.dumps(sent) == wire.dumps({"line": value})


BROKEN = [
    b"",
    b"[]",
    b'{"messages": [' + b" " * LARGE_BYTES,
    b'{"messages": "\xff' + b"a" * LARGE_BYTES + b'"}',
    b'{"messages": [{"role": "user", "content": "' + LONG.encode() + b'\xff"}]}',
    b'{"messages": [1,,2], "x": "' + LONG.encode() + b'"}',
    b'{"messages": [1] 7, "x": "' + LONG.encode() + b'"}',
    b'{"messages": [1], "x": NaN, "y": "' + LONG.encode() + b'"}',
]


@pytest.mark.parametrize("data", BROKEN)
def test_what_is_broken_is_refused_in_the_same_words(data: bytes) -> None:
    with pytest.raises(InvalidRequestError) as plain:
        wire.loads_object(data)
    with pytest.raises(InvalidRequestError) as caught:
        read(KnownPrefixes(60), data)
    assert caught.value.message == plain.value.message


def test_a_request_that_is_broken_behind_what_is_known_is_refused_in_the_same_words() -> None:
    known = KnownPrefixes(60)
    served(known, wire.dumps(body(3)))
    good = wire.dumps(body(4))
    for data in (good[:-30], good.replace(b"3.py", b"3.\xffy"), good[:-3] + b"\n}}}"):
        with pytest.raises(InvalidRequestError) as plain:
            wire.loads_object(data)
        with pytest.raises(InvalidRequestError) as caught:
            read(known, data)
        assert caught.value.message == plain.value.message


@given(st.integers(0, 5), st.integers(0, 40), st.sampled_from(['"', "}", "]", ",", "\\", "é"]))
def test_a_body_that_differs_anywhere_is_read_as_it_is(turns: int, place: int, put: str) -> None:
    known = KnownPrefixes(60)
    served(known, wire.dumps(body(4)))
    data = wire.dumps(body(turns))
    at = len(data) - place * 20
    changed = data[:at] + put.encode() + data[at:]
    try:
        plain = wire.loads_object(changed)
    except InvalidRequestError:
        with pytest.raises(InvalidRequestError):
            read(known, changed)
    else:
        assert read(known, changed).body == plain


ODD = [
    b'{"model":"m","user":"\xff","user":"u",%b}',
    b'{"model":"m","user":1e999,"user":"u",%b}',
    b'{"model":"m","user":"u","user":"u",%b}',
    b'{"model":"m","user":"\xed\xa0\x80","n":123456789012345678901234567890,%b}',
    b'{"model":"m","user":"\\ud83d","n":123456789012345678901234567890,%b}',
    b'{"model":"m",%b,"messages":[]}',
    b"\xef\xbb\xbf{%b}",
]


def outcome(read: Callable[[], Any]) -> Any:
    """What was read, number for number, or how it was refused."""
    try:
        return wire.dumps_sorted(read())
    except InvalidRequestError as error:
        return error.message


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_is_read_as_everywhere(odd: bytes) -> None:
    data = odd % wire.dumps(body(3))[1:-1]
    known = KnownPrefixes(60)
    served(known, wire.dumps(body(3)))
    assert outcome(lambda: read(known, data).body) == outcome(lambda: wire.loads_object(data))


def test_numbers_are_read_alike_beside_what_is_no_text() -> None:
    large = {"type": "tool_use", "id": "a", "name": "read", "input": {"n": 0}}
    start = [*START, {"role": "assistant", "content": [large]}, *turn(1), *turn(2)]
    whole = wire.dumps(body(0, start=start)).replace(b'"n":0', b'"n":' + b"9" * 30)
    broken = whole[: whole.rindex(b"\xc2\xbb")] + b"\xed\xa0\x80" + whole[whole.rindex(b'"}]') :]
    for first, second in ((whole, broken), (broken, whole)):
        known = KnownPrefixes(60)
        served(known, first)
        again = read(known, second).body
        assert wire.dumps_sorted(again) == wire.dumps_sorted(wire.loads(second))


def test_half_a_surrogate_pair_is_read_as_everywhere() -> None:
    known = KnownPrefixes(60)
    served(known, wire.dumps(body(2)))
    data = wire.dumps(body(3)).replace(b'"auto"', b'"\\ud83d"')
    assert read(known, data).body["model"] == "\ud83d"


def test_it_is_forgotten_in_time() -> None:
    clock = Clock()
    known = KnownPrefixes(60, clock=clock)
    served(known, wire.dumps(body(2)))
    clock.now = 59.0
    assert is_known(read(known, wire.dumps(body(2))))
    clock.now = 118.0
    assert is_known(read(known, wire.dumps(body(2))))
    clock.now = 178.0
    assert not is_known(read(known, wire.dumps(body(2))))
    assert len(known) == 0
    served(known, wire.dumps(body(2)))
    clock.now = 238.0
    known.forget()
    assert len(known) == 0, "an idle process forgets as well"


def test_the_same_request_twice_at_once_is_kept_once() -> None:
    known = KnownPrefixes(60)
    data = wire.dumps(body(3))
    readings = [read(known, data) for _ in range(3)]
    for reading in readings:
        translate(reading.body, reading.prefix)
        known.keep(reading, reading.digests())
    assert len(known) == 1
    assert is_known(read(known, data))


def test_the_least_used_go_first() -> None:
    known = KnownPrefixes(60, max_entries=2)
    bodies = [wire.dumps(body(2, start=[{"role": "user", "content": f"{n}{LONG}"}])) for n in "123"]
    served(known, bodies[0])
    served(known, bodies[1])
    served(known, bodies[0])
    served(known, bodies[2])
    assert [is_known(read(known, data)) for data in bodies] == [True, False, True]


def test_they_stay_within_their_bytes() -> None:
    one = wire.dumps(body(2))
    known = KnownPrefixes(60, max_bytes=8 * len(one))
    for number in range(9):
        data = wire.dumps(body(2, start=[{"role": "user", "content": f"{number}{LONG}"}]))
        served(known, data)
        assert 1 <= len(known) <= 2
    kept = len(known)
    served(known, wire.dumps(body(2, start=[{"role": "user", "content": 20 * LONG}])))
    assert len(known) == kept, "one that is greater than all may be takes no other's place"
