"""The circuit of an upstream, from the failure that opens it until it is closed again."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from activities.upstream_circuit import UpstreamCircuitActivities
    from gateway.durable import (
        UPSTREAM_CIRCUIT_WORKFLOW,
        CircuitChange,
        CircuitInput,
        CircuitOrder,
        CircuitStateName,
        CircuitView,
        ProbeUpstreamInput,
        PublishCircuitInput,
    )
    from workflows.options import circuit_step

_GRACE_SECONDS = 15.0  # after which processes go on by themselves: the probe may take so long
_KEPT_CHANGES = 50
_STATUS = SearchAttributeKey.for_keyword("GatewayStatus")
_BY = "workflow"


@workflow.defn(name=UPSTREAM_CIRCUIT_WORKFLOW)
class UpstreamCircuitWorkflow:
    """Looks after one circuit: waits, asks the upstream, lets some live requests through, closes.

    Processes open their breakers by themselves and tell; what is published here holds for all of
    them. Each state says how long it holds, so that they go on by the same rules without it.
    """

    @workflow.init
    def __init__(self, wanted: CircuitInput) -> None:
        self._circuit = wanted.circuit
        self._policy = wanted.policy
        self._state: CircuitStateName = wanted.state
        self._cooldown = wanted.cooldown_seconds or wanted.policy.cooldown_seconds
        self._history = list(wanted.history)
        self._searchable = wanted.searchable
        self._orders: list[CircuitOrder] = []
        self._received = self._done = 0
        self._manual: CircuitOrder | None = None

    @workflow.run
    async def run(self, wanted: CircuitInput) -> CircuitView:  # noqa: ARG002 - `__init__` has it
        """Ends when the circuit is closed."""
        await workflow.wait_condition(lambda: bool(self._orders) or self._state != "closed")
        while self._orders or self._state != "closed" or not workflow.all_handlers_finished():
            if self._orders:
                await self._obey(self._orders.pop(0))
                self._done += 1
            elif self._state == "closed":
                await workflow.wait_condition(
                    lambda: bool(self._orders) or workflow.all_handlers_finished()
                )
            elif workflow.info().is_continue_as_new_suggested():
                self._go_on_anew()
            elif self._state == "open":
                await self._while_open()
            else:
                await self._while_half_open()
        return self._view()

    @workflow.signal
    def tell(self, order: CircuitOrder) -> None:
        """A process saw the upstream fail or work."""
        self._receive(order)

    @workflow.update
    async def order(self, order: CircuitOrder) -> CircuitView:
        """An operator opens or closes the circuit; answers when it is done."""
        number = self._receive(order)
        await workflow.wait_condition(lambda: self._done >= number)
        return self._view()

    @workflow.query
    def state(self) -> CircuitView:
        """The circuit now."""
        return self._view()

    def _receive(self, order: CircuitOrder) -> int:
        """Its number, the first being 1; orders are done in their order."""
        self._orders.append(order)
        self._received += 1
        return self._received

    async def _while_open(self) -> None:
        seconds = self._cooldown if self._manual is None else self._manual.seconds
        wait = timedelta(seconds=seconds) if seconds > 0 else None
        if await self._told_within(wait):
            return
        self._manual = None
        if self._policy.probe:
            said = await workflow.execute_activity_method(
                UpstreamCircuitActivities.probe_upstream,
                ProbeUpstreamInput(self._circuit),
                **circuit_step(f"is {self._circuit} well again?"),
            )
            if self._orders:
                return
            if not said.answers:
                self._lengthen()
                await self._become("open", _BY, f"probe failed: {said.code}")
                return
        await self._become("half_open", _BY, "the pause is over")

    async def _while_half_open(self) -> None:
        if not await self._told_within(timedelta(seconds=self._policy.half_open_seconds)):
            await self._become("closed", _BY, "nobody has met a failure")

    async def _told_within(self, wait: timedelta | None) -> bool:
        """True when somebody has something to say before the time is over."""
        try:
            await workflow.wait_condition(lambda: bool(self._orders), timeout=wait)
        except TimeoutError:
            return False
        return True

    async def _obey(self, order: CircuitOrder) -> None:
        if order.manual:
            self._manual = order if order.state == "open" else None
            await self._become(order.state, order.by, order.reason)
        elif self._manual is not None:
            return  # what an operator has opened stays open
        elif order.state == "open" and self._state != "open":
            if self._state == "half_open":
                self._lengthen()
            await self._become("open", order.by, order.reason)
        elif order.state == "closed" and self._state != "closed":
            await self._become("closed", order.by, order.reason)

    def _lengthen(self) -> None:
        self._cooldown = min(self._cooldown * 2, self._policy.longest_cooldown_seconds)

    async def _become(self, state: CircuitStateName, by: str, reason: str) -> None:
        """Change the state and tell everybody."""
        self._state = state
        if state == "closed":
            self._cooldown = self._policy.cooldown_seconds
        if self._searchable:
            workflow.upsert_search_attributes([_STATUS.value_set(state)])
        workflow.set_current_details(f"{self._circuit} is **{state}**: {reason}")
        await workflow.execute_activity_method(
            UpstreamCircuitActivities.publish_circuit,
            PublishCircuitInput(self._circuit, state, self._holds_seconds(), by, reason),
            **circuit_step(f"{state}: {reason}"),
        )
        change = CircuitChange(state, workflow.time(), by, reason)
        self._history = [*self._history, change][-_KEPT_CHANGES:]

    def _holds_seconds(self) -> float:
        """How long processes keep to the state without hearing more; 0 for ever."""
        if self._state != "open":
            return 0.0
        if self._manual is not None:
            return self._manual.seconds + _GRACE_SECONDS if self._manual.seconds > 0 else 0.0
        return self._cooldown + _GRACE_SECONDS

    def _go_on_anew(self) -> None:
        workflow.continue_as_new(
            CircuitInput(
                self._circuit,
                self._policy,
                self._state,
                self._cooldown,
                self._history,
                self._searchable,
            )
        )

    def _view(self) -> CircuitView:
        manual = self._manual is not None
        return CircuitView(self._circuit, self._state, self._cooldown, manual, self._history)
