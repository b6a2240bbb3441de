"""Old tool results are shortened when the prompt cache has expired anyway.

While a cache is warm, changing what was sent costs more than it saves. After a pause longer than
the cache's lifetime the whole prompt is paid for again, so then, and only then, a watermark moves
forward: long results before it lose their middle, in this request and in all later ones. Calls keep
their arguments and people their words.
"""

from collections.abc import Callable
from itertools import takewhile

from gateway.reduction.context_calls import read_call
from gateway.reduction.context_lines import error_lines
from gateway.reduction.texts import Text
from gateway.wire import JSONObject

ReadsFile = Callable[[JSONObject], bool]
"""True for a `tool_use` block that reads a file."""

LONG_CHARS = 1_000
"""Results up to here are never shortened."""

NEWEST_BLOCKS = 12
"""So many of the newest blocks are left alone."""

_HEAD_CHARS = 400
_TAIL_CHARS = 400
_ERROR_CHARS = 400


def next_watermark(
    current: int, messages: list[JSONObject], pause_seconds: float, lifetime_seconds: float
) -> int:
    """The message before which old results are shortened from now on.

    `messages` are the client's; the pause is the time since its previous request. Unless the cache
    has expired, and for a watermark that would move back, it is `current`.
    """
    if pause_seconds <= lifetime_seconds:
        return current
    blocks = 0
    for index in range(len(messages) - 1, -1, -1):
        blocks += len(messages[index]["content"])
        if blocks >= NEWEST_BLOCKS:
            return max(current, index)
    return current


def compact(texts: list[Text], before_message: int, reads_file: ReadsFile) -> None:
    """Shorten the long results in messages before `before_message`.

    What remains says how much is gone. Lines that tell of a failure stay, and of a file it is said
    that it must be read again before an edit.
    """
    for text in texts:
        old = text.kind == "tool_result" and text.message < before_message
        if old and len(text.value) > LONG_CHARS:
            shorter = _shortened(text.value, text.call, reads_file)
            if len(shorter) < len(text.value):
                text.value = shorter


def _shortened(value: str, call: JSONObject | None, reads_file: ReadsFile) -> str:
    is_file = call is not None and reads_file(call)
    middle = value[_HEAD_CHARS:-_TAIL_CHARS]
    errors = "" if is_file else _errors(middle, call)
    hint = "; it is not whole: read the file again before you edit it" if is_file else ""
    marker = (
        f"[... {len(middle)} characters of this old result removed by the gateway; "
        f"call the tool again if needed{hint} ...]"
    )
    kept = f"{marker}\n{errors}" if errors else marker
    return f"{value[:_HEAD_CHARS]}\n{kept}\n{value[-_TAIL_CHARS:]}"


def _errors(middle: str, call: JSONObject | None) -> str:
    """The first lines of the middle that tell of a failure; what a file or a search says does not.

    Half a line at either end belongs to the head or the tail.
    """
    if call is not None and read_call(call).kind in ("read", "search"):
        return ""
    whole = middle.partition("\n")[2].rpartition("\n")[0]
    room = _ERROR_CHARS

    def fits(line: str) -> bool:
        nonlocal room
        room -= len(line) + 1
        return room >= 0

    return "\n".join(takewhile(fits, error_lines(whole)))
