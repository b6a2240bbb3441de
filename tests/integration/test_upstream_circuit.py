"""Circuits over processes and in their workflow, with real servers that come and go."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from gateway.durable import (
    CircuitOrder,
    CircuitPolicy,
    CircuitView,
    DurableUnavailableError,
    EngineAddress,
    circuit_workflow_id,
)
from gateway.reliability.circuit_breaker import CircuitBreaker, CircuitState
from gateway.reliability.circuit_sharing import CircuitNames, SharedCircuits
from gateway.services.background import start, stop
from gateway.storage.circuit_board import CHANNEL, CircuitBoard
from gateway.storage.valkey import Valkey
from gateway.storage.valkey_subscriber import ValkeySubscriber
from tests.contract.harness.gateway import frozen
from tests.contract.harness.simulator import Simulator, running_simulator
from tests.integration.valkey_server import ValkeyServer
from tests.integration.worker_process import running_worker, until
from workflows.client import TemporalEngine
from workflows.connection import connect

COOLDOWN_SECONDS = 1.0
NAMES = CircuitNames(("simulator",), ("opus", "sonnet"))
OPEN, HALF_OPEN, CLOSED = CircuitState.OPEN, CircuitState.HALF_OPEN, CircuitState.CLOSED


@dataclass
class Process:
    """What an API process has of circuits."""

    breaker: CircuitBreaker
    circuits: SharedCircuits
    valkey: Valkey

    def fail(self, circuit: str, times: int = 3) -> None:
        for _ in range(times):
            self.breaker.enter(circuit).failed()


@asynccontextmanager
async def process(
    valkey_url: str, temporal_address: str, *, by: str, probe: bool = True
) -> AsyncIterator[Process]:
    """An API process's circuits, connected; `by` stands for its host and number."""
    breaker = CircuitBreaker(enabled=True, threshold=3, timeout_seconds=COOLDOWN_SECONDS)
    valkey = Valkey(valkey_url)
    durable = TemporalEngine(EngineAddress(temporal_address), deadline_seconds=3.0)
    policy = CircuitPolicy(COOLDOWN_SECONDS, 8 * COOLDOWN_SECONDS, 2.0, probe=probe)
    circuits = SharedCircuits(breaker, CircuitBoard(valkey), durable, policy, NAMES, by=by)
    listener = ValkeySubscriber(valkey_url, CHANNEL, circuits.heard, circuits.catch_up)
    async with AsyncExitStack() as stack:
        await valkey.start()
        stack.push_async_callback(valkey.close)
        stack.push_async_callback(durable.close)
        for name, work in (("circuits", circuits.run()), ("notices", listener.run())):
            stack.push_async_callback(stop, start(name, work))
        yield Process(breaker, circuits, valkey)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with running_simulator("--delta-delay", "0") as simulator:
        yield simulator


@pytest.fixture
async def client(temporal_address: str) -> Client:
    return await connect(EngineAddress(temporal_address))


@pytest.fixture
async def worker(
    temporal_address: str,
    database_url: str,
    server: ValkeyServer,
    simulator: Simulator,
    tmp_path: Path,
) -> AsyncIterator[Path]:
    """A running worker."""
    async with running_worker(
        tmp_path,
        DATABASE_URL=database_url,
        TEMPORAL_ADDRESS=temporal_address,
        REDIS_URL=server.url,
        ENCRYPTION_KEYS="used in tests only",
        ANTHROPIC_BASE_URL=simulator.base_url,
        UPSTREAM_IS_SIMULATOR="1",
    ) as log:
        yield log


async def becomes(who: Process, circuit: str, state: CircuitState, seconds: float = 20.0) -> None:
    async def is_so() -> bool:
        return who.breaker.state(circuit) is state

    await until(is_so, seconds)


async def view(client: Client, circuit: str) -> CircuitView:
    handle = client.get_workflow_handle(circuit_workflow_id(circuit))
    found: CircuitView = await handle.query("state", result_type=CircuitView)
    return found


async def becomes_durably(client: Client, circuit: str, state: str) -> None:
    """The workflow says so: a process may have gone on by itself before."""

    async def is_so() -> bool:
        with suppress(RPCError):
            return (await view(client, circuit)).state == state
        return False

    await until(is_so)


async def test_a_circuit_opened_here_is_open_everywhere_within_a_second(
    server: ValkeyServer,
) -> None:
    nowhere = "127.0.0.1:1"
    async with (
        process(server.url, nowhere, by="one") as one,
        process(server.url, nowhere, by="two") as two,
    ):
        await asyncio.sleep(0.3)  # until both listen; what is said before is read from the hash
        one.fail("simulator/opus")
        await becomes(two, "simulator/opus", OPEN, 1.0)
        assert two.breaker.may_enter("simulator/sonnet")
        async with process(server.url, nowhere, by="three") as late:
            await becomes(late, "simulator/opus", OPEN, 2.0)
        # Without a workflow each goes on by itself, and tells when it serves again.
        await becomes(one, "simulator/opus", HALF_OPEN, 3.0)
        one.breaker.enter("simulator/opus").succeeded()
        await becomes(two, "simulator/opus", CLOSED, 1.0)


async def test_a_board_that_is_frozen_or_emptied_changes_nothing_here(
    server: ValkeyServer,
) -> None:
    async with process(server.url, "127.0.0.1:1", by="one") as one:
        server.freeze()
        one.fail("simulator/opus")
        assert one.breaker.state("simulator/opus") is OPEN
        server.thaw()
        await until(lambda: up(one))
        await one.valkey.call("FLUSHALL")
        await becomes(one, "simulator/opus", HALF_OPEN, 3.0)
        one.breaker.enter("simulator/opus").succeeded()
        assert one.breaker.state("simulator/opus") is CLOSED


async def up(who: Process) -> bool:
    return who.valkey.is_up


@pytest.mark.timeout(120)
async def test_one_workflow_waits_asks_and_closes(
    worker: Path,
    server: ValkeyServer,
    temporal_address: str,
    client: Client,
    simulator: Simulator,
) -> None:
    circuit = "simulator/opus"
    async with (
        process(server.url, temporal_address, by="one") as one,
        process(server.url, temporal_address, by="two") as two,
    ):
        for who in (one, two):
            who.fail(circuit)
        handle = client.get_workflow_handle(circuit_workflow_id(circuit))
        await becomes_durably(client, circuit, "half_open")
        for who in (one, two):
            await becomes(who, circuit, HALF_OPEN)
        # A live request fails: it is open again, and for twice as long.
        one.breaker.enter(circuit).failed()

        async def lengthened() -> bool:
            return (await view(client, circuit)).cooldown_seconds == 2 * COOLDOWN_SECONDS

        await until(lengthened)
        await becomes_durably(client, circuit, "half_open")
        await becomes(two, circuit, HALF_OPEN)
        two.breaker.enter(circuit).succeeded()
        await becomes(one, circuit, CLOSED)
        result: CircuitView = await client.get_workflow_handle(
            circuit_workflow_id(circuit), result_type=CircuitView
        ).result()
        assert [change.state for change in result.history] == [
            "open",
            "half_open",
            "open",
            "half_open",
            "closed",
        ]
        assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED
        history = b"".join(
            event.SerializeToString() for event in (await handle.fetch_history()).events
        )
        assert b"sk-" not in history


@pytest.mark.timeout(120)
async def test_the_upstream_is_asked_before_live_requests_are(
    worker: Path,
    server: ValkeyServer,
    temporal_address: str,
    client: Client,
    simulator: Simulator,
) -> None:
    circuit = "simulator/sonnet"
    async with process(server.url, temporal_address, by="one") as one:
        with frozen(simulator.pid):
            one.fail(circuit)

            async def probed_in_vain() -> bool:
                with suppress(RPCError):
                    changes = (await view(client, circuit)).history
                    return any(change.reason == "probe failed: timeout" for change in changes)
                return False

            await until(probed_in_vain, 30)
            assert one.breaker.state(circuit) is OPEN
        await becomes(one, circuit, HALF_OPEN, 30)
        await becomes(one, circuit, CLOSED, 30)  # nobody has asked for anything


@pytest.mark.timeout(120)
async def test_an_operator_opens_and_closes_by_updates(
    worker: Path, server: ValkeyServer, temporal_address: str, client: Client
) -> None:
    circuit = "simulator/opus"
    async with (
        process(server.url, temporal_address, by="one") as one,
        process(server.url, temporal_address, by="two") as two,
    ):
        opened = await one.circuits.order(
            circuit, CircuitOrder("open", "key k1", "maintenance", manual=True)
        )
        assert opened is not None
        assert (opened.state, opened.manual) == ("open", True)
        await becomes(two, circuit, OPEN)
        assert two.breaker.seconds_open(circuit) == float("inf")
        # A process that sees it work does not close what an operator has opened.
        two.circuits.changed(circuit, CLOSED)
        assert (await view(client, circuit)).manual
        closed = await two.circuits.order(circuit, CircuitOrder("closed", "key k1", manual=True))
        assert closed is not None
        assert closed.state == "closed"
        await becomes(one, circuit, CLOSED)
        opened = await one.circuits.order(
            circuit, CircuitOrder("open", "key k1", "a short pause", manual=True, seconds=1.0)
        )
        await becomes(two, circuit, OPEN)
        await becomes(two, circuit, HALF_OPEN)


async def test_without_temporal_an_operator_reaches_the_processes_and_without_both_nobody(
    server: ValkeyServer,
) -> None:
    order = CircuitOrder("open", "key k1", "maintenance", manual=True)
    async with (
        process(server.url, "127.0.0.1:1", by="one") as one,
        process(server.url, "127.0.0.1:1", by="two") as two,
    ):
        assert await one.circuits.order("simulator/opus", order) is None
        assert one.breaker.state("simulator/opus") is OPEN
        await becomes(two, "simulator/opus", OPEN, 2.0)
        server.kill()
        with pytest.raises(DurableUnavailableError):
            await one.circuits.order("simulator/sonnet", order)
