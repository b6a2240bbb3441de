"""Sealing: what comes back, and what must not."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.security import sealing
from gateway.security.sealing import MAX_DATA_BYTES, Sealer, sealer_from

OLD, NEW = b"the key of last year", b"the key of this year"
CONTEXT = b"turn\x00project-a\x00key"


@given(st.binary(max_size=4000), st.binary(max_size=60))
def test_what_was_sealed_comes_back(data: bytes, context: bytes) -> None:
    sealer = Sealer([NEW])
    assert sealer.open(sealer.seal(data, context), context) == data


def test_the_same_data_is_never_sealed_twice_alike() -> None:
    sealer = Sealer([NEW])
    texts = {sealer.seal(b"same", CONTEXT) for _ in range(50)}
    assert len(texts) == 50


def test_sealed_text_is_safe_in_urls_and_shows_nothing() -> None:
    text = Sealer([NEW]).seal(b"a secret thought" * 10, CONTEXT)
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")
    assert len(text) < 160 * 4 / 3 + 60


@given(st.data())
def test_any_change_is_noticed(data: st.DataObject) -> None:
    sealer = Sealer([NEW])
    text = sealer.seal(b"a thought of some length", CONTEXT)
    place = data.draw(st.integers(0, len(text) - 2))  # the last one carries unused bits
    other = data.draw(st.sampled_from(string.ascii_letters).filter(lambda c: c != text[place]))
    assert sealer.open(text[:place] + other + text[place + 1 :], CONTEXT) is None


@given(st.text(max_size=200))
def test_foreign_text_opens_as_nothing(text: str) -> None:
    assert Sealer([NEW]).open(text, CONTEXT) is None


def test_another_context_does_not_open_it() -> None:
    sealer = Sealer([NEW])
    text = sealer.seal(b"data", CONTEXT)
    assert sealer.open(text, b"turn\x00project-b\x00key") is None
    assert sealer.open(text, b"") is None


def test_a_new_key_in_front_still_opens_what_the_old_one_sealed() -> None:
    before = Sealer([OLD]).seal(b"data", CONTEXT)
    rotated = Sealer([NEW, OLD])
    assert rotated.open(before, CONTEXT) == b"data"
    after = rotated.seal(b"data", CONTEXT)
    assert Sealer([NEW]).open(after, CONTEXT) == b"data"
    assert Sealer([OLD]).open(after, CONTEXT) is None


def test_a_dropped_key_opens_nothing_any_more() -> None:
    assert Sealer([NEW]).open(Sealer([OLD]).seal(b"data", CONTEXT), CONTEXT) is None


def test_a_shortened_text_is_no_text() -> None:
    sealer = Sealer([NEW])
    text = sealer.seal(b"", CONTEXT)
    for length in range(len(text)):
        assert sealer.open(text[:length], CONTEXT) is None


def test_what_is_too_long_is_neither_sealed_nor_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    sealer = Sealer([NEW])
    with pytest.raises(ValueError, match="too much"):
        sealer.seal(bytes(MAX_DATA_BYTES + 1), CONTEXT)
    text = sealer.seal(b"twelve bytes", CONTEXT)
    monkeypatch.setattr(sealing, "_MAX_CHARS", len(text) - 1)
    assert sealer.open(text, CONTEXT) is None


def test_characters_outside_the_alphabet_are_not_skipped() -> None:
    sealer = Sealer([NEW])
    text = sealer.seal(b"data", CONTEXT)
    assert sealer.open(text[:20] + "\n" + text[20:], CONTEXT) is None
    assert sealer.open(text + "\u00e9", CONTEXT) is None


def test_the_setting_is_a_comma_list_with_the_current_key_first() -> None:
    sealer = sealer_from(f" {NEW.decode()} ,{OLD.decode()},")
    assert Sealer([NEW]).open(sealer.seal(b"data", CONTEXT), CONTEXT) == b"data"
    assert sealer.open(Sealer([OLD]).seal(b"data", CONTEXT), CONTEXT) == b"data"


@pytest.mark.parametrize("setting", ["", " , ", "short", f"{NEW.decode()},short"])
def test_a_missing_or_short_key_is_refused_without_showing_it(setting: str) -> None:
    with pytest.raises(ValueError, match="encryption key") as refused:
        sealer_from(setting)
    assert "short" not in str(refused.value)
