"""JSON in and out: strict where the wire is, lenient where real streams are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.errors import InvalidRequestError

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
SMALL_VALUES = st.none() | st.integers(-9, 9) | st.text(max_size=5) | st.lists(st.text(max_size=3))


@given(JSON_VALUES)
def test_what_is_dumped_is_loaded_again(value: object) -> None:
    assert wire.loads(wire.dumps(value)) == value


@given(st.text(alphabet=st.characters()))
def test_any_text_can_be_dumped(text: str) -> None:
    wire.dumps({"text": text}).decode("utf-8")


def test_lone_surrogates_are_read_and_replaced() -> None:
    value = wire.loads(b'{"half": "\\ud83d"}')
    assert value == {"half": "\ud83d"}
    assert wire.loads(wire.dumps(value)) == {"half": "\ufffd"}


def test_integers_beyond_64_bits_keep_their_digits() -> None:
    assert wire.dumps([10**30]) == b"[1" + b"0" * 30 + b"]"


@pytest.mark.parametrize("data", [b"", b"{", b"NaN", b'"\xff"', b"[" * 5000, b"{'a': 1}"])
def test_what_is_not_json_is_refused_without_showing_it(data: bytes) -> None:
    with pytest.raises(wire.JSONDecodeError, match="at byte"):
        wire.loads(data)


@pytest.mark.parametrize("data", [b"[]", b'"secret"', b"1", b"null"])
def test_a_body_must_be_an_object(data: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        wire.loads_object(data)
    assert caught.value.param == "$"
    assert "secret" not in caught.value.message


def test_sorted_dumps_do_not_depend_on_the_order_of_keys() -> None:
    assert wire.dumps_sorted({"b": 1, "a": 2}) == wire.dumps_sorted({"a": 2, "b": 1})


@pytest.mark.parametrize("leaf", ["\ud83d", "plain"])
def test_values_nested_too_deeply_to_be_written_are_refused(leaf: str) -> None:
    value: object = leaf
    for _ in range(600):
        value = [value]
    with pytest.raises(InvalidRequestError, match="deeply"):
        wire.dumps(value)


@given(st.dictionaries(st.text(max_size=5), SMALL_VALUES))
def test_members_are_the_json_of_what_they_are(value: dict[str, object]) -> None:
    data = wire.dumps(value)
    members = wire.loads_members(data)
    assert {name: wire.loads(member.raw) for name, member in members.items()} == value
    for raw, start in members.values():
        assert data[start : start + len(raw)] == raw


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"a":12,"a":1}',
        b'{"a":12,"b":3,"a":1}',
        b'{"a":1,"b":3,"a":1}',
        b'{"a":"\xff","a":"b"}',
        b'{"a":1,"\\u0061":1}',
    ],
)
def test_a_name_that_stands_twice_is_none_of_the_members(data: bytes) -> None:
    with pytest.raises(wire.JSONDecodeError, match="twice"):
        wire.loads_members(data)


def test_strictly_nothing_is_mended() -> None:
    assert wire.loads_strictly(b'{"a": [1, null]}') == {"a": [1, None]}
    for data in (b'"\\ud83d"', b'"\xed\xa0\x80"', b"NaN", b""):
        with pytest.raises(wire.JSONDecodeError, match="at byte"):
            wire.loads_strictly(data)


@pytest.mark.parametrize(
    "data", [b"[]", b"1", b"", b"{", b'{"a": 1,}', b'{"a": tru}', b'{"\xff": 1}']
)
def test_only_an_object_has_members(data: bytes) -> None:
    with pytest.raises(wire.JSONDecodeError):
        wire.loads_members(data)


@given(st.lists(SMALL_VALUES), st.sampled_from([b",", b" ,", b", \n", b"\t,\r\n "]))
def test_items_end_where_their_json_ends(items: list[object], comma: bytes) -> None:
    parts = [wire.dumps(item) for item in items]
    data = b"[ " + comma.join(parts) + b" ]"
    for count, end in enumerate(wire.item_ends(data), 1):
        assert wire.loads(data[:end] + b"]") == items[:count]
    assert len(wire.item_ends(data)) == len(items)


@pytest.mark.parametrize("levels", [1_100, 100_000])
def test_what_is_nested_too_deeply_has_neither_members_nor_items(levels: int) -> None:
    nested = b"[" * levels + b"]" * levels
    with pytest.raises(wire.JSONDecodeError):
        wire.loads_members(b'{"a": ' + nested + b"}")
    with pytest.raises(wire.JSONDecodeError):
        wire.item_ends(nested)
