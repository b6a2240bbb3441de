"""What a conversation begins with: some passes are chosen by it, once and for all."""

from collections.abc import Collection

from gateway.structs import Struct
from gateway.wire import JSONObject


class Opening(Struct, frozen=True):
    """What stands before the first answer of the assistant, which never changes.

    `said` are the texts of the messages, `tools` and `system` the blocks before them. `is_text`:
    nothing but these texts stands in the messages.
    """

    tools: list[JSONObject]
    system: list[JSONObject]
    said: list[str]
    is_text: bool

    @property
    def chars(self) -> int:
        """The characters of all texts."""
        return sum(map(len, self.said)) + sum([len(block["text"]) for block in self.system])


def read_opening(body: JSONObject, fixed: Collection[int] = ()) -> Opening:
    """The opening of a body as the client sent it: without the blocks whose `id()` is in `fixed`,
    which the gateway itself has put there.
    """
    said: list[str] = []
    blocks = 0
    for message in body["messages"]:
        if message["role"] == "assistant":
            break
        content = message["content"]
        blocks += len(content)
        said += [
            block["text"] for block in content if block["type"] == "text" and id(block) not in fixed
        ]
    tools, system = body.get("tools") or [], body.get("system") or []
    return Opening(tools, system, said, is_text=len(said) == blocks)
