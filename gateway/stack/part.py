"""One part of the stack: how it is started, known to be ready, and stopped."""

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.stack.process import Command

GROUPS_IN_STOP_ORDER = ("api", "worker", "simulator", "temporal", "valkey", "postgres")
"""First those that use, then what they use; open streams end while everything still runs."""


@dataclass(frozen=True, slots=True)
class Part:
    """A process of the stack.

    `command` is asked before every start and may clear away what a crash left. `ready` returns
    None or the reason why not yet. `another_port` is called once when the first start fails
    because somebody took the port meanwhile; it returns True when it chose a new one.
    `ready_again` takes the place of `ready` when a part that was ready is started again.
    """

    name: str
    group: str
    command: Callable[[], Command]
    ready: Callable[[], Awaitable[str | None]]
    address: Callable[[], str]
    start_seconds: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    another_port: Callable[[], bool] = lambda: False
    ready_again: Callable[[], Awaitable[str | None]] | None = None
