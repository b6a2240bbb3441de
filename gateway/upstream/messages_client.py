"""Claude's API for work that no client waits for: whole answers, through the official package.

Nothing is streamed, so `max_tokens` has to stay below what the package allows without.
"""

from gateway import wire
from gateway.protocols.shared.usage import UsageMeter
from gateway.structs import Struct
from gateway.upstream.package_client import PackageClient
from gateway.upstream.package_errors import upstream_errors
from gateway.wire import JSONObject

MOST_TOKENS = 16_000
"""The most `max_tokens`: an answer of more would have to be streamed."""


class Answered(Struct, frozen=True):
    """A whole answer: its text, and what it used."""

    text: str
    usage: UsageMeter


class MessagesClient(PackageClient):
    """Asks one upstream. Use `async with`."""

    async def list_models(self) -> None:
        """Ask for something that costs nothing. Raises UpstreamError."""
        with upstream_errors():
            await self._client.models.list(limit=1)

    async def ask(self, body: JSONObject) -> Answered:
        """The answer to a Messages request. Raises UpstreamError, which says what may help."""
        with upstream_errors():
            raw = await self._client.messages.with_raw_response.create(**body)
        return _read(wire.loads(await raw.read()))


def _read(message: JSONObject) -> Answered:
    usage = UsageMeter()
    usage.on_message_start(message)
    usage.on_stop()
    texts = [block["text"] for block in message["content"] if block["type"] == "text"]
    return Answered("".join(texts).strip(), usage)
