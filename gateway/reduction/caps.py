"""Caps: a very long text loses its middle, and says so.

The cut of a text depends on that text alone, so it is cut in the same way from its first appearance
on. Files that a tool has read are left whole, because edits need their exact text; so is everything
the assistant said, its calls included.
"""

from gateway.reduction.texts import Text
from gateway.reduction.tool_kinds import ToolKinds

_NEAR_CHARS = 200  # a cut moves to the end of a line when there is one so near
_LEAST_KEPT_CHARS = 200  # at each end, however low the cap is set

_HOW = {
    "system": "shorten the instructions, or raise SYSTEM_MAX_CHARS, to have all of it",
    "user": "ask for the missing part if you need it",
    "tool_result": "call the tool again with a narrower range or filter to see the missing part",
}


def cap_texts(texts: list[Text], caps: tuple[int, int, int], kinds: ToolKinds) -> None:
    """Shorten what is longer than `caps` allow: characters of the system text, of a text of the
    user, of a tool result; 0 for no cap.

    The cap of the system text is for all of its blocks together; the first ones have it to
    themselves.
    """
    system_chars, user_chars, result_chars = caps
    left = system_chars
    for text in texts:
        if text.message < 0:
            if system_chars:
                _cap(text, max(left, 2 * _LEAST_KEPT_CHARS))
                left -= len(text.value)
        elif text.kind == "tool_result":
            if result_chars and len(text.value) > result_chars:
                _cap_result(text, result_chars, kinds)
        elif user_chars:
            _cap(text, user_chars)


def _cap_result(text: Text, chars: int, kinds: ToolKinds) -> None:
    if not kinds.reads_file(text.call):
        _cap(text, chars)


def _cap(text: Text, chars: int) -> None:
    if len(text.value) > chars:
        text.value = shortened(text.value, chars, _HOW[text.kind])


def shortened(value: str, chars: int, how: str) -> str:
    """Head and tail of `value`, about `chars` characters in all, with marks that say what is gone.

    Returns `value` itself when the marks would be longer than what they replace.
    """
    kept = max(chars // 2, _LEAST_KEPT_CHARS)
    head = _end_of_line_before(value, kept)
    tail = _start_of_line_after(value, len(value) - kept)
    removed = tail - head
    notice = (
        f"[This text is shortened: {removed} of its {len(value)} characters were removed by the "
        f"gateway from the middle; {how}.]\n"
    )
    gap = f"\n[... {removed} characters removed by the gateway ...]\n"
    if removed <= len(notice) + len(gap):
        return value
    return f"{notice}{value[:head]}{gap}{value[tail:]}"


def _end_of_line_before(value: str, place: int) -> int:
    line_end = value.rfind("\n", place - _NEAR_CHARS, place)
    return line_end if line_end > 0 else place


def _start_of_line_after(value: str, place: int) -> int:
    line_end = value.find("\n", place, place + _NEAR_CHARS)
    return line_end + 1 if line_end >= 0 and line_end + 1 < len(value) else place
