"""What this process sees of circuits, told to the others and to the workflow; and what they say.

Live requests read the breaker in memory only. Everything here runs beside them, late or not at all
when Valkey or the durable engine is away: each process has its own breaker, by the same rules.
"""

import asyncio
import logging
import math
import os
import socket
from typing import Any

from gateway.durable import (
    CircuitInput,
    CircuitOrder,
    CircuitPolicy,
    CircuitStateName,
    CircuitView,
    DurableEngine,
    DurableUnavailableError,
)
from gateway.errors import NotFoundError
from gateway.reliability.circuit_breaker import CircuitBreaker, CircuitState
from gateway.storage.circuit_board import CircuitBoard, CircuitNotice, read_notice
from gateway.storage.valkey import ValkeyDown
from gateway.structs import Struct

_log = logging.getLogger("gateway.reliability")

_TELL_AGAIN_SECONDS = 5.0
_NAMES: dict[CircuitState, CircuitStateName] = {
    CircuitState.CLOSED: "closed",
    CircuitState.HALF_OPEN: "half_open",
    CircuitState.OPEN: "open",
}
_STATES = {name: state for state, name in _NAMES.items()}
_WHY: dict[CircuitStateName, str] = {
    "open": "it kept failing",
    "closed": "it serves again",
    "half_open": "",
}


class CircuitNames(Struct, frozen=True):
    """What circuits there can be."""

    upstreams: tuple[str, ...]
    classes: tuple[str, ...]


class SharedCircuits:
    """Joins the breaker of this process with the board of all and the workflows.

    `by` names the process; its host and number when not given.
    """

    def __init__(
        self,
        breaker: CircuitBreaker,
        board: CircuitBoard,
        durable: DurableEngine,
        policy: CircuitPolicy,
        names: CircuitNames,
        by: str = "",
    ) -> None:
        self._names = names
        self._breaker = breaker
        self._board = board
        self._durable = durable
        self._policy = policy
        self._by = by or f"{socket.gethostname()}:{os.getpid()}"
        self._to_publish: dict[str, CircuitStateName] = {}
        self._to_tell: dict[str, CircuitStateName] = {}
        self._has_news = asyncio.Event()
        self._has_tales = asyncio.Event()
        breaker.on_change = self.changed

    def changed(self, circuit: str, state: CircuitState) -> None:
        """The breaker of this process has changed; the others are told soon. Never waits."""
        name = _NAMES[state]
        _log.warning("circuit_breaker", extra={"upstream": circuit, "state": name})
        if state is not CircuitState.HALF_OPEN:  # each process tries for itself
            self._to_publish[circuit] = self._to_tell[circuit] = name
            self._has_news.set()
            self._has_tales.set()

    def heard(self, body: bytes) -> None:
        """A notice has come over the channel."""
        notice = read_notice(body)
        if notice is not None:
            self._apply(notice)

    async def catch_up(self) -> None:
        """Read what was said while nobody listened."""
        try:
            notices = await self._board.read()
        except ValkeyDown:
            return
        for notice in notices:
            self._apply(notice)

    async def run(self) -> None:
        """Tells the others, until cancelled: the workflows may be late, the processes may not."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_publishing())
            tasks.create_task(self._keep_telling())

    def listing(self) -> list[dict[str, Any]]:
        """Name, state and, of open ones, the seconds left, of every circuit known here."""
        listed: list[dict[str, Any]] = []
        for circuit, state in sorted(self._breaker.states().items()):
            entry: dict[str, Any] = {"circuit": circuit, "state": _NAMES[state]}
            if state is CircuitState.OPEN:
                left = self._breaker.seconds_open(circuit)
                entry["seconds_left"] = round(left, 1) if math.isfinite(left) else None
            listed.append(entry)
        return listed

    def known(self, upstream: str, model_class: str) -> str:
        """The name of that circuit. Raises NotFoundError."""
        names = self._names
        if upstream not in names.upstreams:
            raise NotFoundError(f"no such upstream; there are: {', '.join(names.upstreams)}")
        if model_class not in names.classes:
            raise NotFoundError(f"no such class; there are: {', '.join(names.classes)}")
        return f"{upstream}/{model_class}"

    async def order(self, circuit: str, order: CircuitOrder) -> CircuitView | None:
        """What an operator wants, done by the workflow; None when only the processes were told.

        Raises DurableUnavailableError when neither could be.
        """
        try:
            return await self._durable.order_circuit(CircuitInput(circuit, self._policy), order)
        except DurableUnavailableError:
            notice = CircuitNotice(circuit, order.state, order.seconds, order.by, order.reason)
            if not await self._board.publish(notice):
                raise
            self._apply(notice)
            return None

    async def _keep_publishing(self) -> None:
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            waiting, self._to_publish = self._to_publish, {}
            for circuit, state in waiting.items():
                seconds = self._policy.cooldown_seconds if state == "open" else 0.0
                notice = CircuitNotice(circuit, state, seconds, self._by, _WHY[state])
                await self._board.publish(notice)

    async def _keep_telling(self) -> None:
        while True:
            await self._has_tales.wait()
            self._has_tales.clear()
            if not await self._tell():
                await asyncio.sleep(_TELL_AGAIN_SECONDS)
                self._has_tales.set()

    async def _tell(self) -> bool:
        """Tell the workflows; False when somebody has to be told later."""
        waiting, self._to_tell = self._to_tell, {}
        for circuit, state in waiting.items():
            order = CircuitOrder(state, self._by, _WHY[state])
            try:
                await self._durable.tell_circuit(CircuitInput(circuit, self._policy), order)
            except DurableUnavailableError:
                # What has changed meanwhile is newer.
                self._to_tell = {**waiting, **self._to_tell}
                return False
        return True

    def _apply(self, notice: CircuitNotice) -> None:
        state = _STATES[_as_name(notice.state)]
        if notice.by != self._by and self._breaker.state(notice.circuit) is not state:
            extra = {"upstream": notice.circuit, "state": notice.state, "by": notice.by}
            _log.info("circuit_heard", extra=extra)
        if notice.by != self._by:
            self._breaker.apply(notice.circuit, state, notice.seconds)


def _as_name(text: str) -> CircuitStateName:
    return "open" if text == "open" else "half_open" if text == "half_open" else "closed"
