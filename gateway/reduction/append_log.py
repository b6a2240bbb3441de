"""For clients that rewrite their history each turn: send what is new behind what was sent.

Such a client (aider is one) moves texts about and sends files in their newest version, so that no
request begins with the one before it, and nothing can be read from the cache. Here the log of what
was sent is continued with the blocks of the new request that are not in it yet, in the client's
order. Every text of the client is present; versions it has dropped stay as well, and the order
becomes that of time.

Pure: the log is handed in and out. What stands in a log is what the client sent, before any pass.
"""

from collections import Counter

from gateway.protocols.shared.digests import BlockDigests
from gateway.wire import JSONObject

_MOST_TIMES_LONGER = 4
"""A log that outgrows the client's own request by so much is given up."""


def continued_log(
    log: list[JSONObject], messages: list[JSONObject], digests: BlockDigests
) -> list[JSONObject] | None:
    """The messages to send: `log` and what `messages` has beyond it; None to start again.

    `messages` are plain texts of user and assistant, the newest one the user's.
    """
    if not messages or messages[-1]["role"] != "user" or not _is_plain(messages):
        return None
    logged = Counter(
        (message["role"], digests.of(block)) for message in log for block in message["content"]
    )
    result = [*log]
    last = messages[-1]["content"][-1]
    for message in messages:
        fresh = []
        for block in message["content"]:
            key = (message["role"], digests.of(block))
            if block is not last and logged[key] > 0:
                logged[key] -= 1
            else:
                fresh.append(block)
        if fresh:
            _append(result, message["role"], fresh)
    if size_of(result, digests) > _MOST_TIMES_LONGER * size_of(messages, digests):
        return None
    return result


def _append(messages: list[JSONObject], role: str, blocks: list[JSONObject]) -> None:
    if messages and messages[-1]["role"] == role:
        last = messages[-1]
        messages[-1] = {**last, "content": [*last["content"], *blocks]}
    else:
        messages.append({"role": role, "content": blocks})


def _is_plain(messages: list[JSONObject]) -> bool:
    return all(
        message["role"] in ("user", "assistant")
        and all(block["type"] == "text" for block in message["content"])
        for message in messages
    )


def size_of(messages: list[JSONObject], digests: BlockDigests) -> int:
    """How many bytes of JSON the blocks of messages have."""
    return sum(digests.look(block).size for message in messages for block in message["content"])
