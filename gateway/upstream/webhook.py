"""HTTP to the servers of clients that want to be told."""

from gateway.errors import UpstreamError
from gateway.upstream.transport import UpstreamTransport

_SECONDS = 10.0
_ANSWER_BYTES = 65_536


class WebhookTransport(UpstreamTransport):
    """Connections to one address, posted to as it is. Follows no redirects. Use `async with`."""

    @staticmethod
    def _root(base_url: str) -> str:
        """The address itself."""
        return base_url

    @staticmethod
    def _credentials(_: str) -> dict[str, str]:
        """None: the signature is in the headers of each notice."""
        return {}


async def deliver(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Posts `body`; the status, which is 2xx. Raises UpstreamError, retryable, for any other."""
    transport = WebhookTransport(url, "", first_byte_seconds=_SECONDS, idle_seconds=_SECONDS)
    async with transport:
        answer = await transport.open("", body, headers)
        try:
            await answer.read_all(_ANSWER_BYTES)
        finally:
            answer.abort()
    if not 200 <= answer.status < 300:
        raise UpstreamError(
            f"the webhook answered {answer.status}", code="webhook_refused", retryable=True
        )
    return answer.status
