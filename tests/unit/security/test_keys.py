import pytest

from gateway.errors import AuthenticationError
from gateway.security.keys import hash_key, read_key, same_secret


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"x-api-key": "one"}, "one"),
        ({"api-key": " two "}, "two"),
        ({"authorization": "Bearer three"}, "three"),
        ({"authorization": "bEARER   three "}, "three"),
        ({"x-api-key": "one", "api-key": "two", "authorization": "Bearer three"}, "one"),
        ({"x-api-key": " ", "api-key": "two", "authorization": "Bearer three"}, "two"),
        ({"x-api-key": "", "api-key": "", "authorization": "Bearer three"}, "three"),
        ({"x-api-key": "k" * 512}, "k" * 512),
    ],
)
def test_the_first_key_that_is_not_empty_counts(headers: dict[str, str], key: str) -> None:
    assert read_key(headers) == key


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": ""},
        {"authorization": "three"},
        {"authorization": "Bearer"},
        {"authorization": "Basic dXNlcjpwYXNz"},
        {"key": "one"},
        {"x-api-key": "k" * 513},
        {"x-api-key": "a\x00b"},
        {"authorization": "Bearer a\nb"},
        {"authorization": "Bearer a\x85b"},
    ],
)
def test_no_usable_key_is_refused_without_repeating_it(headers: dict[str, str]) -> None:
    with pytest.raises(AuthenticationError) as refused:
        read_key(headers)
    assert refused.value.status == 401
    assert "kkk" not in refused.value.message


def test_hashes_are_sha256_and_take_any_text() -> None:
    assert hash_key("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert len(hash_key("ž\ud83d")) == 64


def test_secrets_are_compared_whatever_their_length_or_alphabet() -> None:
    assert same_secret("žluť", "žluť")
    assert not same_secret("", "x")
    assert not same_secret("x", "xx")
