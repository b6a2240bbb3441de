from typing import Any

import pytest

from gateway.config import Settings
from gateway.errors import PermissionDeniedError
from gateway.security.origin import OriginLock


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)


def refused(headers: dict[str, str], configured: Settings) -> bool:
    try:
        OriginLock(configured).check(headers)
    except PermissionDeniedError:
        return True
    return False


def test_without_settings_everything_passes() -> None:
    assert not refused({}, settings())


@pytest.mark.parametrize(
    ("headers", "is_refused"),
    [
        ({}, True),
        ({"x-origin-secret": ""}, True),
        ({"x-origin-secret": "front-doo"}, True),
        ({"x-origin-secret": "front-door"}, False),
    ],
)
def test_the_origin_secret_must_be_right(headers: dict[str, str], is_refused: bool) -> None:
    assert refused(headers, settings(origin_secret="front-door")) is is_refused


@pytest.mark.parametrize(
    ("headers", "is_refused"),
    [
        ({}, True),
        ({"cf-access-client-id": "id"}, True),
        ({"cf-access-client-id": "id", "cf-access-client-secret": ""}, True),
        ({"cf-access-client-id": "id", "cf-access-client-secret": "s"}, False),
        ({"cf-access-jwt-assertion": "eyJ"}, False),
    ],
)
def test_cloudflare_headers_must_be_there(headers: dict[str, str], is_refused: bool) -> None:
    assert refused(headers, settings(require_cf_access_headers=True)) is is_refused


def test_both_locks_hold_together() -> None:
    both = settings(origin_secret="front-door", require_cf_access_headers=True)
    assert refused({"x-origin-secret": "front-door"}, both)
    assert refused({"cf-access-jwt-assertion": "eyJ"}, both)
    assert not refused({"x-origin-secret": "front-door", "cf-access-jwt-assertion": "eyJ"}, both)
