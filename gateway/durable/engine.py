"""The durable engine as the gateway sees it: where it is, its queues, and its port."""

from dataclasses import dataclass
from typing import Protocol

from gateway.config import Settings
from gateway.durable.background import BackgroundInput
from gateway.durable.batches import BatchInput
from gateway.durable.circuits import CircuitInput, CircuitOrder, CircuitView
from gateway.durable.summaries import ContextSummaryInput
from gateway.errors import UnavailableError

MAINTENANCE_QUEUE = "maintenance"
"""Task queue of what runs by the clock."""

BATCH_QUEUE = "batch"
"""Task queue of batches."""

BACKGROUND_QUEUE = "background"
"""Task queue of responses in the background."""

MEMORY_QUEUE = "memory"
"""Task queue of the indexing of memory."""

SEARCH_ATTRIBUTES = ("GatewayProject", "GatewayKind", "GatewayStatus")
"""Keywords that every workflow can be found by."""


class DurableUnavailableError(UnavailableError):
    """The durable engine did not answer in time; nothing on the live path waits for it."""

    code = "durable_engine_unavailable"


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where the engine is. A key means that it is reached by TLS."""

    host_and_port: str
    namespace: str = "default"
    api_key: str | None = None

    def __repr__(self) -> str:
        return f"EngineAddress({self.host_and_port!r}, {self.namespace!r})"


def engine_address(settings: Settings) -> EngineAddress | None:
    """Where the settings say the engine is; None when they do not."""
    if settings.temporal_address is None:
        return None
    key = settings.temporal_api_key
    return EngineAddress(
        settings.temporal_address,
        settings.temporal_namespace,
        key.get_secret_value() if key else None,
    )


class DurableEngine(Protocol):
    """The engine as the gateway sees it. Every method but `close` has a deadline.

    They raise DurableUnavailableError when the engine is down, slow or refuses.
    """

    async def is_reachable(self) -> bool:
        """True when the engine answers now; never raises."""

    async def ensure_schedules(self) -> None:
        """Makes what runs by the clock, or brings it to the state this version wants."""

    async def roll_up_usage_now(self) -> None:
        """Starts a roll-up unless one is running."""

    async def start_context_summary(self, wanted: ContextSummaryInput) -> None:
        """Starts the writing of a summary, unless it was started before."""

    async def tell_circuit(self, wanted: CircuitInput, order: CircuitOrder) -> None:
        """Tells the workflow of a circuit what a process has seen; a failure starts it."""

    async def order_circuit(self, wanted: CircuitInput, order: CircuitOrder) -> CircuitView:
        """Has the workflow of a circuit do what an operator wants, and gives its state then."""

    async def start_batch(self, wanted: BatchInput) -> None:
        """Starts the workflow of a batch, unless it runs."""

    async def pause_batch(self, batch_id: str) -> None:
        """Tells the workflow of a batch that its batch was paused, if it runs."""

    async def resume_batch(self, batch_id: str) -> None:
        """Tells the workflow of a batch that its batch goes on, if it runs."""

    async def cancel_batch(self, batch_id: str) -> None:
        """Tells the workflow of a batch that its batch is to be cancelled, if it runs."""

    async def start_background(self, wanted: BackgroundInput) -> None:
        """Starts the workflow of a response in the background, unless it was started before."""

    async def cancel_background(self, response_id: str) -> None:
        """Tells the workflow of a response that it was cancelled, if it runs."""

    async def close(self) -> None:
        """Lets go of the connection."""
