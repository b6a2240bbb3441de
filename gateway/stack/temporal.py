"""The embedded Temporal dev server with its Web UI and its SQLite file."""

from dataclasses import dataclass
from pathlib import Path

from gateway import wire
from gateway.stack import environment, probes
from gateway.stack.binaries import find_temporal
from gateway.stack.data_directory import DataDirectory
from gateway.stack.part import Part
from gateway.stack.ports import LOOPBACK, Ports
from gateway.stack.process import Command

SEARCH_ATTRIBUTES = ("GatewayProject", "GatewayKind", "GatewayStatus")
"""What workflows of the gateway can be filtered by, in the UI too. All of type Keyword."""

RETENTION_SECONDS = 7 * 86_400
"""How long finished workflows are kept; the dev server's own default is a day."""

_NAMESPACE = "/api/v1/namespaces/default"
_PORTS = ("temporal", "temporal-ui", "temporal-http")


@dataclass(frozen=True, slots=True)
class Temporal:
    """Everything known about the server before it is started."""

    data: DataDirectory
    program: Path
    ports: Ports
    chosen: dict[str, int]  # a start that lost a race for a port changes it

    @property
    def address(self) -> str:
        """TEMPORAL_ADDRESS of the embedded server."""
        return f"{LOOPBACK}:{self.chosen['temporal']}"

    @property
    def ui_url(self) -> str:
        """Where the Web UI is."""
        return f"http://{LOOPBACK}:{self.chosen['temporal-ui']}"

    def server(self) -> Command:
        """The command of the server process."""
        flags = {
            "--db-filename": str(self.data.temporal / "temporal.db"),
            "--ip": LOOPBACK,
            "--port": str(self.chosen["temporal"]),
            "--ui-port": str(self.chosen["temporal-ui"]),
            "--http-port": str(self.chosen["temporal-http"]),
            "--log-level": "warn",
            "--log-format": "json",
        }
        repeated = [
            # WAL does twice the workflows a second of SQLite's default journal.
            *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1"),
            # One partition keeps priorities and fairness between projects exact.
            *("--dynamic-config-value", "matching.numTaskqueueReadPartitions=1"),
            *("--dynamic-config-value", "matching.numTaskqueueWritePartitions=1"),
            *("--dynamic-config-value", "matching.enableFairness=true"),
        ]
        for attribute in SEARCH_ATTRIBUTES:
            repeated += ["--search-attribute", f"{attribute}=Keyword"]
        words = [word for flag in flags.items() for word in flag]
        return Command(
            argv=(
                *(str(self.program), "server", "start-dev", "--ui-disable-news-fetch"),
                *words,
                *repeated,
            ),
            environment=environment.for_servers(self.data.temporal),
            log=self.data.logs / "temporal.log",
            working_directory=self.data.temporal,
        )

    def part(self) -> Part:
        """The server as a part of the stack."""
        return Part(
            name="temporal",
            group="temporal",
            command=self.server,
            ready=lambda: ready(self.chosen["temporal-http"]),
            address=lambda: f"{self.address}, UI {self.ui_url}",
            another_port=self._another_port,
        )

    def _another_port(self) -> bool:
        free = [name for name in _PORTS if not self.ports.was_asked(name)]
        for name in free:
            self.chosen[name] = self.ports.choose_another(name)
        return bool(free)


def prepare(data: DataDirectory, ports: Ports) -> Temporal:
    """Find the program and the ports. Raises StackError."""
    return Temporal(data, find_temporal(), ports, {name: ports.choose(name) for name in _PORTS})


async def ready(http_port: int) -> str | None:
    """Does the namespace answer, and does it keep workflows long enough? Sets that when not."""
    try:
        status, body = await probes.http(LOOPBACK, http_port, _NAMESPACE)
        if status != 200:
            return f"HTTP {status}"
        retention = f"{RETENTION_SECONDS}s"
        if wire.loads(body)["config"]["workflowExecutionRetentionTtl"] == retention:
            return None
        change = wire.dumps({"config": {"workflowExecutionRetentionTtl": retention}})
        status, _ = await probes.http(
            LOOPBACK, http_port, f"{_NAMESPACE}/update", method="POST", body=change
        )
    except (OSError, KeyError, wire.JSONDecodeError) as error:
        return str(error) or type(error).__name__
    return None if status == 200 else f"HTTP {status} when setting the retention"
