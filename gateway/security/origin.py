"""The origin lock: requests must have come through the front door, such as Cloudflare.

Checked before the body is read; the edge lets probes of containers through. The Cloudflare headers
prove nothing by themselves, since any client can send them; they catch a request that went round
the front door by mistake, and the origin secret is what keeps others out.
"""

from collections.abc import Mapping

from gateway.config import Settings
from gateway.errors import PermissionDeniedError
from gateway.security.keys import same_secret

# Cloudflare adds the assertion once a login or a service token was accepted; the token's own pair
# arrives as well. https://developers.cloudflare.com/cloudflare-one/identity/authorization-cookie/
_ASSERTION = "cf-access-jwt-assertion"
_SERVICE_TOKEN = ("cf-access-client-id", "cf-access-client-secret")


class OriginLock:
    """What the settings ask of every request, read once."""

    __slots__ = ("_needs_access", "_secret")

    def __init__(self, settings: Settings) -> None:
        secret = settings.origin_secret
        self._secret = secret.get_secret_value() if secret is not None else None
        self._needs_access = settings.require_cf_access_headers

    def check(self, headers: Mapping[str, str]) -> None:
        """Refuse a request that did not come through the front door; header names in lower case.

        Raises PermissionDeniedError.
        """
        if self._secret is not None and not same_secret(
            headers.get("x-origin-secret", ""), self._secret
        ):
            raise PermissionDeniedError(
                "This request did not come through the expected origin.", code="origin_denied"
            )
        if self._needs_access and not _has_access_headers(headers):
            raise PermissionDeniedError(
                "This request did not come through Cloudflare Access.", code="origin_denied"
            )


def _has_access_headers(headers: Mapping[str, str]) -> bool:
    return bool(headers.get(_ASSERTION)) or all(headers.get(name) for name in _SERVICE_TOKEN)
