"""HTTP to the servers of clients that want to be told."""

from typing import Self

from gateway.errors import UpstreamError, UpstreamUnreachableError
from gateway.upstream.connection_pool import ConnectionPool, PrivateAddressError
from gateway.upstream.transport import UpstreamTransport

_SECONDS = 10.0
_ANSWER_BYTES = 65_536


class WebhookTransport(UpstreamTransport):
    """Connections to one address, posted to as it is. Follows no redirects. Use `async with`.

    `public_only`: only where it is an address of the internet.
    """

    def __init__(self, url: str, *, public_only: bool) -> None:
        super().__init__(url, "", first_byte_seconds=_SECONDS, idle_seconds=_SECONDS)
        self._public_only = public_only

    async def __aenter__(self) -> Self:
        self._pool = ConnectionPool(self._base_url, public_only=self._public_only)
        return self

    @staticmethod
    def _root(base_url: str) -> str:
        """The address itself."""
        return base_url

    @staticmethod
    def _credentials(_: str) -> dict[str, str]:
        """None: the signature is in the headers of each notice."""
        return {}


async def deliver(
    url: str, body: bytes, headers: dict[str, str], *, allow_private: bool = False
) -> int:
    """Posts `body`; the status, which is 2xx. Raises UpstreamError, retryable, for any other.

    Without `allow_private` a host that has only addresses of this machine or its network is an
    UpstreamError that no other try can mend: who names the address may not look behind the door.
    """
    async with WebhookTransport(url, public_only=not allow_private) as transport:
        try:
            answer = await transport.open("", body, headers)
        except UpstreamUnreachableError as error:
            if isinstance(error.__cause__, PrivateAddressError):
                raise UpstreamError(
                    "the webhook has no public address; WEBHOOK_ALLOW_PRIVATE=1 allows others",
                    code="webhook_private",
                ) from error
            raise
        try:
            await answer.read_all(_ANSWER_BYTES)
        finally:
            answer.abort()
    if not 200 <= answer.status < 300:
        raise UpstreamError(
            f"the webhook answered {answer.status}", code="webhook_refused", retryable=True
        )
    return answer.status
