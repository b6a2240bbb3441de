"""Random ids without a system call: a live request needs two or three of them.

The generator is seeded by the system when the process starts. It is for names that have to be
unique, never for what nobody may guess.
"""

import os
import random

_generator = random.Random()  # noqa: S311 - see above
os.register_at_fork(after_in_child=_generator.seed)


def random_hex(digits: int) -> str:
    """So many random hex digits."""
    return f"{_generator.getrandbits(4 * digits):0{digits}x}"
