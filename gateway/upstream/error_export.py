"""HTTP to the endpoint that takes error events."""

from gateway.upstream.transport import UpstreamTransport


class ErrorExportTransport(UpstreamTransport):
    """Connections to one address, posted to as it is. Use `async with`."""

    @staticmethod
    def _root(base_url: str) -> str:
        """The address itself."""
        return base_url

    @staticmethod
    def _credentials(api_key: str) -> dict[str, str]:
        """The token, if there is one."""
        return {"authorization": f"Bearer {api_key}"} if api_key else {}
