"""The text of a completion as it is inserted at a cursor: without a code fence, up to a stop.

Both forms of an answer go through here, the whole one as a single piece; the text that comes out
is the same however it is cut into pieces. Held back is only what may still turn out to be a fence
or the beginning of a stop sequence.
"""

import re

_FENCE = "```"
_INFO_CHARS = 40  # a longer first line is no fence
_LINE_END = re.compile(r"\n[ \t]*(?:`{1,3}[ \t\r]*)?\Z")
_CLOSING = re.compile(r"\n[ \t]*```[ \t\r]*(?:\n|\Z)")


class FenceStripper:
    """Takes one code fence from around a text. Created per answer.

    Only a text that begins with a fence has one; what is said behind its end is not part of the
    code and is left out. `is_closed` turns true there.
    """

    def __init__(self) -> None:
        self.is_closed = False
        self._held = ""
        self._borrowed = 0  # characters at the beginning of `_held` that are not the text's
        self._inside: bool | None = None  # None until the text has begun

    def feed(self, text: str) -> str:
        """The text that is certain now."""
        if self.is_closed:
            return ""
        self._held += text
        if self._inside is None:
            self._inside = self._begin()
        if self._inside is None:
            return ""
        return self._code() if self._inside else self._take(len(self._held))

    def finish(self) -> str:
        """What was held back and belongs to the text after all."""
        if self.is_closed or (self._inside and _CLOSING.match(self._held)):
            return ""
        return self._take(len(self._held))

    def _begin(self) -> bool | None:
        """True behind an opening fence, False when there is none, None while nobody can tell."""
        begun = self._held.lstrip()
        if not begun.startswith(_FENCE[: len(begun)]):
            return False
        info, line_end, rest = begun[len(_FENCE) :].partition("\n")
        if "`" in info or len(info) > _INFO_CHARS:
            return False
        if not line_end:
            return None
        # A fence closes at the beginning of a line; the first line has the break of the opening.
        self._held, self._borrowed = "\n" + rest, 1
        return True

    def _code(self) -> str:
        closing = _CLOSING.search(self._held)
        if closing is not None and closing[0].endswith("\n"):
            self.is_closed = True
            return self._take(closing.start())
        waiting = _LINE_END.search(self._held)
        return self._take(len(self._held) if waiting is None else waiting.start())

    def _take(self, end: int) -> str:
        text, self._held = self._held[self._borrowed : end], self._held[end:]
        if end:
            self._borrowed = 0
        return text


class StopCutter:
    """Ends a text before the first of its stop sequences. Created per answer.

    For sequences of whitespace only, which the Messages API refuses. `is_stopped` turns true when
    one has come.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self.is_stopped = False
        self._stops = stops
        self._held = ""

    def feed(self, text: str) -> str:
        """The text that is certain now."""
        if self.is_stopped:
            return ""
        text = self._held + text
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if places:
            self.is_stopped, self._held = True, ""
            return text[: min(places)]
        length = self._undecided(text)
        self._held = text[len(text) - length :]
        return text[: len(text) - length]

    def _undecided(self, text: str) -> int:
        """How many of the last characters may begin a stop sequence."""
        return max(
            (
                length
                for stop in self._stops
                for length in range(1, len(stop))
                if text.endswith(stop[:length])
            ),
            default=0,
        )

    def finish(self) -> str:
        """What was held back."""
        held, self._held = self._held, ""
        return held


class CompletionText:
    """The visible text of one answer: fence off, stops applied."""

    def __init__(self, stops: tuple[str, ...], *, strip_fence: bool) -> None:
        self._fence = FenceStripper() if strip_fence else None
        self._cutter = StopCutter(stops)

    @property
    def is_over(self) -> bool:
        """True when nothing of what follows belongs to the text."""
        return self._cutter.is_stopped or (self._fence is not None and self._fence.is_closed)

    def feed(self, text: str) -> str:
        """The text for the client that is certain now."""
        return self._cutter.feed(text if self._fence is None else self._fence.feed(text))

    def finish(self) -> str:
        """The rest, once the answer is at its end."""
        text = self._cutter.feed(self._fence.finish()) if self._fence is not None else ""
        return text + self._cutter.finish()
