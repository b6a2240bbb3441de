"""HTTP to the provider of embeddings: any server that has OpenAI's `POST /embeddings`."""

from gateway.upstream.transport import UpstreamTransport


class EmbeddingTransport(UpstreamTransport):
    """One connection pool to a provider. Use `async with`.

    `base_url` is what the provider calls its base URL, which mostly ends in `/v1`; providers on the
    same machine need no key.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        *,
        first_byte_seconds: float,
        idle_seconds: float,
    ) -> None:
        super().__init__(
            base_url,
            api_key or "",
            first_byte_seconds=first_byte_seconds,
            idle_seconds=idle_seconds,
        )

    @staticmethod
    def _root(base_url: str) -> str:
        """The base URL as it is, without the path of the call if somebody has put it there."""
        return base_url.rstrip("/").removesuffix("/embeddings")

    @staticmethod
    def _credentials(api_key: str) -> dict[str, str]:
        """The key as OpenAI's API takes it, if there is one."""
        return {"authorization": f"Bearer {api_key}"} if api_key else {}
