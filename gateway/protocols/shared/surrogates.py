"""Characters that were cut in the middle by JSON escapes.

A sender that escapes text as UTF-16 can cut a stream between the two halves of an emoji: one delta
ends with "\\ud83d", the next begins with "\\ude00". Each half alone is no character.
"""

_HIGH_FIRST, _HIGH_LAST = "\ud800", "\udbff"


def ends_inside_character(text: str) -> bool:
    """True when the last code unit waits for its second half."""
    return _HIGH_FIRST <= text[-1:] <= _HIGH_LAST


def join_surrogates(text: str) -> str:
    """`text` with split characters made whole; a half without its partner becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
