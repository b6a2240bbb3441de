"""The side effects of a circuit: tell every process, ask the upstream."""

from collections.abc import Awaitable, Callable, Mapping

from temporalio import activity

from activities.failures import reported
from gateway.durable import (
    ProbeUpstreamInput,
    ProbeUpstreamResult,
    PublishCircuitInput,
    PublishCircuitResult,
)
from gateway.errors import GatewayError
from gateway.storage.circuit_board import CircuitBoard, CircuitNotice

Probe = Callable[[], Awaitable[None]]
"""Asks an upstream for something small. Raises GatewayError when it does not answer well."""


class UpstreamCircuitActivities:
    """`probes` are by the name of the upstream; without a board nobody can be told."""

    def __init__(self, board: CircuitBoard | None, probes: Mapping[str, Probe]) -> None:
        self._board = board
        self._probes = dict(probes)

    @activity.defn
    async def publish_circuit(self, wanted: PublishCircuitInput) -> PublishCircuitResult:
        """Tells every API process; with Valkey away they go on by their own rules."""
        if self._board is None:
            return PublishCircuitResult(told=False)
        notice = CircuitNotice(
            wanted.circuit, wanted.state, wanted.seconds, wanted.by, wanted.reason
        )
        async with reported():
            return PublishCircuitResult(told=await self._board.publish(notice))

    @activity.defn
    async def probe_upstream(self, wanted: ProbeUpstreamInput) -> ProbeUpstreamResult:
        """Asks the upstream; one that nobody here knows is left to live requests."""
        probe = self._probes.get(wanted.circuit.partition("/")[0])
        if probe is None:
            return ProbeUpstreamResult(answers=True, code="not_probed")
        try:
            await probe()
        except GatewayError as error:
            return ProbeUpstreamResult(answers=False, code=error.code or "unknown")
        return ProbeUpstreamResult(answers=True)
