"""Deltas that came in one read and follow each other, taken together.

A busy stream brings many at once, each of a few characters: what is done for each of them alone is
most of what the stream costs.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from gateway import wire

TEXT_DELTAS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
"""The kinds of deltas that are pieces of a text, and the field the piece is in."""

_SHOWN = {kind: itemgetter(name) for kind, name in TEXT_DELTAS.items() if kind != "signature_delta"}
_NAME, _DATA = itemgetter(0), itemgetter(1)
_DELTA, _TYPE = itemgetter("delta"), itemgetter("type")


class Run(NamedTuple):
    """The texts of deltas of one kind that is output, none empty or with half a character in it."""

    kind: str
    texts: list[str]
    chars: int


def by_name(events: list[tuple[str, bytes]]) -> Iterable[tuple[str, Sequence[bytes]]]:
    """The data of events that follow each other and have one name, with that name."""
    if len(events) == 1:
        name, data = events[0]
        return ((name, (data,)),)
    return [(name, list(map(_DATA, group))) for name, group in groupby(events, _NAME)]


def read_run(datas: Sequence[bytes]) -> Run | None:
    """The run in the data of several `content_block_delta` events.

    None when they are no run, or when one of them is better read alone, as unreadable ones are.
    """
    try:
        deltas = list(map(_DELTA, wire.loads(b"[%b]" % b",".join(datas))))
        kind, *others = set(map(_TYPE, deltas))
        texts = list(map(_SHOWN[kind], deltas))
        whole = "".join(texts)
        whole.encode()
    except (KeyError, TypeError, ValueError):
        return None
    if others or not whole or len(deltas) != len(datas):
        return None
    return Run(kind, list(filter(None, texts)), len(whole))
