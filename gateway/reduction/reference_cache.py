"""What was encoded of conversations lately, so that a request pays for its new texts only.

An encoder is known by what it has read: a request that begins with all of it takes the encoder on,
any other one starts anew. So what is sent never depends on what is remembered.
"""

import time
from collections.abc import Callable

from gateway.reduction.reference_encoder import ReferenceEncoder
from gateway.storage.shelf import Shelf
from gateway.structs import Struct, field

MAX_BYTES = 16 * 2**20
MAX_ENTRIES = 512

Step = str | int
"""What an encoder reads: a text, or a label that something else claims."""


class Memory(Struct):
    """An encoder with the steps it has read, and what is sent for each that is a text."""

    encoder: ReferenceEncoder
    steps: list[Step] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def begins(self, steps: list[Step]) -> bool:
        """True when `steps` begin with all that was read, be it without the newest text."""
        read = len(self.steps)
        if steps[:read] == self.steps:
            return True
        if read and steps[: read - 1] == self.steps[:-1] and self.encoder.take_back():
            self.steps.pop()
            self.sent.pop()
            return True
        return False

    def extend(self, steps: list[Step]) -> None:
        """Read on to the end of `steps`, which begin with all that was read."""
        for step in steps[len(self.steps) :]:
            if isinstance(step, int):
                self.encoder.claim(step)
            else:
                self.sent.append(self.encoder.encode(step))
            self.steps.append(step)


class ReferenceCache:
    """Encoders by conversation and what they have read: those used last, each for its time.

    One for each process, used from its event loop. `seconds` is how long what was encoded of a
    conversation is kept after its last request.
    """

    def __init__(
        self,
        seconds: float,
        *,
        max_bytes: int = MAX_BYTES,
        max_entries: int = MAX_ENTRIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._memories: Shelf[tuple[str, int], Memory] = Shelf(
            max_entries=max_entries, max_size=max_bytes, clock=clock
        )

    def __len__(self) -> int:
        return len(self._memories)

    def take(self, conversation: str, steps: list[Step], links: list[int]) -> Memory | None:
        """What was made of the longest known beginning of `steps`; it is the caller's now.

        Each link stands for the steps before its own: a request may differ from the one before in
        its newest text only.
        """
        for link in reversed(links):
            memory = self._memories.get((conversation, link))
            if memory is not None and memory.begins(steps):
                self._memories.drop((conversation, link))
                return memory
        return None

    def forget(self) -> None:
        """Let go of what is too old, where nobody asks for it."""
        self._memories.forget()

    def put(self, conversation: str, link: int, memory: Memory) -> None:
        """Keep what was made of the steps up to that of `link`."""
        self._memories.put((conversation, link), memory, self._seconds, memory.encoder.size)
