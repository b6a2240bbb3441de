"""What one `coding-gateway up` will start, decided before anything is started."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config import Settings, default_data_dir
from gateway.stack import environment, postgres, probes, temporal, valkey
from gateway.stack.data_directory import DataDirectory
from gateway.stack.keys import Keys, load_keys
from gateway.stack.ports import API_PORT, LOOPBACK, Ports, bind_api
from gateway.stack.postgres import Postgres
from gateway.stack.temporal import Temporal
from gateway.stack.valkey import Valkey

_MOST_API_PROCESSES = 4  # more is a choice for whoever sizes the machine


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The command line of `up`. None means: the setting, or what fits the machine."""

    data_dir: Path | None = None
    host: str = LOOPBACK
    port: int = API_PORT
    api_processes: int | None = None
    workers: int = 1
    simulate: bool = False
    ports: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """The parts of one stack; an embedded part is None when a URL was set for it.

    `external` maps the names of those parts to their host:port. `simulator_port` has one element
    when the simulator stands in for Claude's API, none otherwise.
    """

    data: DataDirectory
    keys: Keys
    ports: Ports
    listener: socket.socket
    api_processes: int
    workers: int
    postgres: Postgres | None
    valkey: Valkey | None
    temporal: Temporal | None
    simulator_port: list[int]
    external: Mapping[str, str]
    temporal_ui: str | None
    origin_locked: bool
    behind_access: bool
    grace_seconds: float
    worker_grace_seconds: float

    @property
    def base_url(self) -> str:
        """What clients are given as base URL; ends in /v1."""
        host, port = self.listener.getsockname()[:2]
        shown = LOOPBACK if host in {"0.0.0.0", "::"} else host  # noqa: S104 - a comparison
        return f"http://[{shown}]:{port}/v1" if ":" in shown else f"http://{shown}:{port}/v1"

    def environment(self) -> dict[str, str]:
        """The environment of the API, the workers and the migrations."""
        ours = {
            "DATA_DIR": str(self.data.root),
            "GATEWAY_API_KEY": self.keys.gateway,
            "ADMIN_API_KEY": self.keys.admin,
            "ENCRYPTION_KEYS": self.keys.encryption,
            "API_PROCESSES": str(self.api_processes),
        }
        if self.postgres is not None:
            ours["DATABASE_URL"] = self.postgres.url
        if self.valkey is not None:
            ours["REDIS_URL"] = self.valkey.url
        if self.temporal is not None:
            ours["TEMPORAL_ADDRESS"] = self.temporal.address
            ours["TEMPORAL_NAMESPACE"] = "default"
            ours["TEMPORAL_UI_URL"] = self.temporal.ui_url
        if self.simulator_port:
            ours["ANTHROPIC_BASE_URL"] = f"http://{LOOPBACK}:{self.simulator_port[0]}"
            ours["ANTHROPIC_API_KEY"] = "simulator"  # the real key has no business there
            ours["UPSTREAM_IS_SIMULATOR"] = "1"
        return environment.for_programs(ours)


def data_directory(asked: Path | None, settings: Settings) -> DataDirectory:
    """The directory named on the command line, else by DATA_DIR, else the default one."""
    chosen = asked or settings.data_dir or default_data_dir()
    return DataDirectory(chosen.expanduser().resolve())


def needs_simulator(settings: Settings) -> bool:
    """True when nobody said where Claude's API is: neither a key nor another server."""
    default_url = Settings.model_fields["anthropic_base_url"].default
    has_key = settings.anthropic_api_key is not None or settings.upstreams is not None
    return not has_key and settings.anthropic_base_url == default_url


def make_plan(options: UpOptions, settings: Settings, data: DataDirectory) -> Plan:
    """Find programs, ports and keys. Raises StackError before anything runs.

    Call it with the data directory locked and cleared of leftovers.
    """
    listener = bind_api(options.host, options.port)
    try:
        keys = load_keys(data, settings)
        ports = Ports(data.ports_file, options.ports)
        external = _external(settings)
        embedded_temporal = temporal.prepare(data, ports) if "temporal" not in external else None
        simulates = options.simulate or needs_simulator(settings)
        return Plan(
            data=data,
            keys=keys,
            ports=ports,
            listener=listener,
            api_processes=options.api_processes or _api_processes(settings),
            workers=options.workers,
            postgres=postgres.prepare(data, ports, keys.postgres)
            if "postgres" not in external
            else None,
            valkey=valkey.prepare(data, ports, keys.valkey) if "valkey" not in external else None,
            temporal=embedded_temporal,
            simulator_port=[ports.choose("simulator")] if simulates else [],
            external=external,
            temporal_ui=embedded_temporal.ui_url if embedded_temporal else settings.temporal_ui_url,
            origin_locked=settings.origin_secret is not None,
            behind_access=settings.require_cf_access_headers,
            grace_seconds=settings.shutdown_grace_seconds,
            worker_grace_seconds=settings.worker_grace_seconds,
        )
    except BaseException:
        listener.close()
        raise


def _api_processes(settings: Settings) -> int:
    """API_PROCESSES when set, else one for each core that the servers and the worker leave over."""
    if "api_processes" in settings.model_fields_set:
        return settings.api_processes
    return max(1, min((os.cpu_count() or 1) - 1, _MOST_API_PROCESSES))


def _external(settings: Settings) -> dict[str, str]:
    """The parts that came as a URL, as host:port without credentials."""
    urls = {
        "postgres": settings.database_url.get_secret_value() if settings.database_url else None,
        "valkey": settings.redis_url.get_secret_value() if settings.redis_url else None,
        "temporal": settings.temporal_address,
    }
    addresses = {name: probes.address_of(url) for name, url in urls.items() if url}
    return {name: f"{host}:{port}" for name, (host, port) in addresses.items()}
