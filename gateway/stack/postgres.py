"""The embedded PostgreSQL: its cluster, its user, its server process."""

import os
import secrets
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path

from gateway.stack import environment, probes, run_as, run_state
from gateway.stack.binaries import PostgresPrograms, find_postgres
from gateway.stack.data_directory import SYSTEM_HOME, DataDirectory, write_atomically
from gateway.stack.part import Part
from gateway.stack.ports import LOOPBACK, Ports
from gateway.stack.process import Command
from gateway.stack.run_as import RunAs
from gateway.stack.run_state import postmaster

_UNFINISHED = "data.unfinished-"
USER = "gateway"
DATABASE = "gateway"


@dataclass(frozen=True, slots=True)
class Postgres:
    """Everything known about the server before it is started. `home` holds the cluster."""

    home: Path
    programs: PostgresPrograms
    user: RunAs | None
    ports: Ports
    port: list[int]  # one element: a start that lost a race for the port takes another
    password: str = field(repr=False)
    logs: Path

    @property
    def cluster(self) -> Path:
        """PGDATA."""
        return self.home / "data"

    @property
    def pid_file(self) -> Path:
        """The server's own record of its process."""
        return self.cluster / "postmaster.pid"

    @property
    def url(self) -> str:
        """DATABASE_URL of the embedded server."""
        return f"postgresql://{USER}:{self.password}@{LOOPBACK}:{self.port[0]}/{DATABASE}"

    def needs_cluster(self) -> bool:
        """True before the first start."""
        return not (self.cluster / "PG_VERSION").exists()

    def make_cluster(self) -> list[Command]:
        """The commands that make a new cluster with the database in it, in order.

        It is built beside its final place and moved there when complete, see `keep_cluster`.
        """
        unfinished = self._unfinished()
        for left in self.home.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        password_file = self.home / "password"
        write_atomically(password_file, self.password.encode(), self.user)
        initdb = (
            *(str(self.programs.directory / "initdb"), "-D", str(unfinished), "-U", USER),
            *("--auth=scram-sha-256", f"--pwfile={password_file}"),
            *("--encoding=UTF8", "--locale=C.UTF-8"),  # the wheels are built without ICU
        )
        single = (
            *(str(self.programs.directory / "postgres"), "--single", "-D", str(unfinished)),
            *("-c", "exit_on_error=on", "postgres"),
        )
        return [
            self._command(initdb),
            self._command(single, f"CREATE DATABASE {DATABASE};\n".encode()),
        ]

    def keep_cluster(self) -> None:
        """Put a completed cluster in its place."""
        self._unfinished().rename(self.cluster)
        (self.home / "password").unlink(missing_ok=True)

    def server(self) -> Command:
        """The command of the server process; clears a pid file that a crash left."""
        if postmaster(self.pid_file) is None:
            self.pid_file.unlink(missing_ok=True)
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port[0]),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
        }
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        program = str(self.programs.directory / "postgres")
        return self._command((program, "-D", str(self.cluster), *flags))

    def part(self) -> Part:
        """The server as a part of the stack."""
        return Part(
            name="postgres",
            group="postgres",
            command=self.server,
            ready=lambda: probes.postgres(LOOPBACK, self.port[0]),
            address=lambda: f"{LOOPBACK}:{self.port[0]}",
            start_seconds=180.0,  # it may have to replay its log after a crash
            stop_signal=signal.SIGINT,  # fast shutdown: ends sessions, writes a checkpoint
            stop_seconds=30.0,
            another_port=self._another_port,
        )

    def _another_port(self) -> bool:
        if self.ports.was_asked("postgres"):
            return False
        self.port[0] = self.ports.choose_another("postgres")
        return True

    def _unfinished(self) -> Path:
        """Of this process only: an initdb whose supervisor was killed removes its own directory
        on the way out, and must not take that of the next start with it.
        """
        return self.home / f"{_UNFINISHED}{os.getpid()}"

    def _command(self, argv: tuple[str, ...], stdin: bytes = b"") -> Command:
        return Command(
            argv=argv,
            environment=environment.for_servers(self.home),
            log=self.logs / "postgres.log",
            working_directory=self.home,
            run_as=self.user,
            death_signal=signal.SIGINT,
            input=stdin,
        )


def cluster_home(data: DataDirectory) -> Path:
    """Where the cluster of this data directory lies: in it, or where `prepare` had to put it."""
    pointer = data.root / "postgres.location"
    if pointer.exists():
        return Path(pointer.read_text(encoding="utf-8").strip())
    return data.postgres


def running_url(data: DataDirectory) -> str | None:
    """DATABASE_URL of the server that runs for this data directory now; None when none does."""
    state = run_state.read(data.state_file)
    for part in state.parts if state else ():
        if part.group == "postgres" and part.identity.is_alive():
            password = (data.keys / "postgres").read_text(encoding="ascii").strip()
            return f"postgresql://{USER}:{password}@{part.address}/{DATABASE}"
    return None


def prepare(data: DataDirectory, ports: Ports, password: str) -> Postgres:
    """Find the programs, the user and the place. Raises StackError.

    As root, PostgreSQL runs as another user. When that user cannot reach the data directory
    (below a closed home, say), the cluster goes to SYSTEM_HOME and the data directory keeps its
    location: no directory of anybody is opened. The programs are copied there likewise.
    """
    home = cluster_home(data)
    user = run_as.choose(home / "data")
    if user is not None and home == data.postgres and not run_as.can_enter(data.root, user):
        home = SYSTEM_HOME / "clusters" / secrets.token_hex(8)
        write_atomically(data.root / "postgres.location", str(home).encode() + b"\n")
    _make_home(home, user)
    version_file = home / "data" / "PG_VERSION"
    major = version_file.read_text(encoding="ascii").strip() if version_file.exists() else None
    programs = find_postgres(major)
    if user is not None and programs.package:
        programs = programs.copied(_readable(SYSTEM_HOME / "servers"))
    return Postgres(home, programs, user, ports, [ports.choose("postgres")], password, data.logs)


def _make_home(home: Path, user: RunAs | None) -> None:
    if SYSTEM_HOME in home.parents:
        _readable(home.parent)
    home.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        os.chown(home, user.uid, user.gid)


def _readable(directory: Path) -> Path:
    for step in (SYSTEM_HOME, directory):
        step.mkdir(parents=True, exist_ok=True)
        step.chmod(0o711)
    return directory
