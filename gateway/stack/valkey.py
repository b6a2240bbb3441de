"""The embedded Valkey (or Redis): its configuration and its server process."""

from dataclasses import dataclass, field
from pathlib import Path

from gateway.stack import environment, probes
from gateway.stack.binaries import find_valkey
from gateway.stack.data_directory import DataDirectory, write_atomically
from gateway.stack.part import Part
from gateway.stack.ports import LOOPBACK, Ports
from gateway.stack.process import Command

_MAX_MEMORY = "512mb"  # of keys that may go: everything the gateway keeps here has an expiry


@dataclass(frozen=True, slots=True)
class Valkey:
    """Everything known about the server before it is started."""

    data: DataDirectory
    program: Path
    ports: Ports
    port: list[int]  # one element: a start that lost a race for the port takes another
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """REDIS_URL of the embedded server."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port[0]}/0"

    def server(self) -> Command:
        """The command of the server process. The password is in a file, not in the arguments."""
        configuration = self.data.valkey / "valkey.conf"
        write_atomically(configuration, self._configuration().encode())
        return Command(
            argv=(str(self.program), str(configuration)),
            environment=environment.for_servers(self.data.valkey),
            log=self.data.logs / "valkey.log",
            working_directory=self.data.valkey,
        )

    def part(self) -> Part:
        """The server as a part of the stack."""
        return Part(
            name="valkey",
            group="valkey",
            command=self.server,
            ready=lambda: probes.valkey(LOOPBACK, self.port[0], self.password),
            address=lambda: f"{LOOPBACK}:{self.port[0]}",
            another_port=self._another_port,
        )

    def _another_port(self) -> bool:
        if self.ports.was_asked("valkey"):
            return False
        self.port[0] = self.ports.choose_another("valkey")
        return True

    def _configuration(self) -> str:
        directory = str(self.data.valkey).replace("\\", "\\\\").replace('"', '\\"')
        lines = (
            f"bind {LOOPBACK}",
            f"port {self.port[0]}",
            f"requirepass {self.password}",
            f'dir "{directory}"',
            "daemonize no",
            "appendonly yes",
            "appendfsync everysec",
            'save ""',  # the append-only file is the one copy
            f"maxmemory {_MAX_MEMORY}",
            "maxmemory-policy volatile-lru",
        )
        return "\n".join(lines) + "\n"


def prepare(data: DataDirectory, ports: Ports, password: str) -> Valkey:
    """Find the program and the port. Raises StackError."""
    return Valkey(data, find_valkey(), ports, [ports.choose("valkey")], password)
