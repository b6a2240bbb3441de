"""Deltas that came together, made one: for an answer that leaves in one piece anyway.

Claude's API sends a delta for every few characters. What reads a whole answer pays for each of
them, and the more of them come at once the busier the process is.
"""

import re

_DELTA = (
    rb'event: content_block_delta\ndata: \{"type":"content_block_delta","index":\d+,"delta":\{'
    rb'"type":"(?:text_delta","text|thinking_delta","thinking|input_json_delta","partial_json)":"'
)
# What stands in a string of JSON, and no more: a delta may have another field behind its text.
_TEXT = rb'[^"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*+)*+'
_END = _TEXT + rb'"\} *\}\n\n'  # the API pads its events with spaces
_BETWEEN = b'"}}\n\nevent: '
_RUN = re.compile(b"(%b)%b(?:\\1%b)+" % (_DELTA, _END, _END))


def join_deltas(events: bytes) -> bytes:
    """`events`, which are whole, with deltas of one kind and block that follow each other as one.

    Works on the bytes of Claude's own form; what is written in another, or says more, is left
    alone. No text can look like the beginning of an event: in JSON a line never breaks inside a
    string.
    """
    return _RUN.sub(_joined, events)


def _joined(run: re.Match[bytes]) -> bytes:
    events, beginning = run[0], run[1]
    begins_at = len(beginning) - len(b"event: ")
    first, *others = events[len(beginning) :].split(_BETWEEN)
    joined = beginning + first + b"".join([other[begins_at:] for other in others])
    if joined.count(b"\n\n") == 1:
        return joined
    texts = [piece[: piece.rindex(b'"}')] for piece in events.split(beginning)[1:]]
    return beginning + b"".join(texts) + b'"}}\n\n'
