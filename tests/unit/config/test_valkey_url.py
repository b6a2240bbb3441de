import ssl

import pytest

from gateway.config import SettingsError, load_settings
from gateway.config.valkey_url import ValkeyAddress, parse_valkey_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://127.0.0.1:6380", ValkeyAddress("127.0.0.1", 6380)),
        ("valkey://cache", ValkeyAddress("cache", 6379)),
        ("redis://cache/2", ValkeyAddress("cache", database=2)),
        ("redis://cache?db=4", ValkeyAddress("cache", database=4)),
        ("redis://:p%40ss@cache", ValkeyAddress("cache", password="p@ss")),
        ("redis://me:pw@[::1]:7/0", ValkeyAddress("::1", 7, username="me", password="pw")),
        ("unix:///run/valkey.sock?db=1", ValkeyAddress(path="/run/valkey.sock", database=1)),
    ],
)
def test_urls_are_understood(url: str, address: ValkeyAddress) -> None:
    assert parse_valkey_url(url) == address


def test_tls_is_verified_unless_the_url_says_otherwise() -> None:
    strict = parse_valkey_url("rediss://cache:6380").tls
    assert strict is not None
    assert strict.verify_mode is ssl.CERT_REQUIRED
    assert strict.check_hostname
    lax = parse_valkey_url("valkeys://cache?ssl_cert_reqs=none").tls
    assert lax is not None
    assert lax.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(
    "url",
    [
        "http://secret@cache",
        "secret",
        "redis://cache:secret",
        "redis://secret..cache",
        "redis://cache:99999999/secret",
        "redis://cache/secret",
        "unix://",
        "rediss://cache?ssl_ca_certs=/nowhere/secret",
        "redis://:secret#x@127.0.0.1:6379/0",
        "redis://:12#secret@cache",
        "redis://:12?secret@cache",
        "redis://:12/secret@cache",
        "redis://sec ret/0",
        "redis://[secret/0",
    ],
)
def test_p59_a_wrong_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(redis_url=url)
    assert refused.value.message.startswith("REDIS_URL: ")
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://cache:6379/0",
        "redis://:p@ss@cache",
        "valkey://me:@[::1]:7/0",
        "rediss://cache?ssl_cert_reqs=none",
        "unix:///run/a@b.sock",
    ],
)
def test_what_the_parser_takes_is_a_setting(url: str) -> None:
    redis_url = load_settings(redis_url=f" {url}\n").redis_url
    assert redis_url is not None
    assert redis_url.get_secret_value() == url


def test_p59_the_password_is_in_no_representation() -> None:
    address = parse_valkey_url("redis://someone:hidden@cache:1")
    assert "hidden" not in repr(address)
    assert address.label == "cache:1"
