"""The gateway as its users run it, and API processes of special settings beside it."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.contract.harness.processes import dies_with_us, end, free_port, until
from tests.integration.stack_command import COMMAND, Up

UPSTREAM_KEY = "sk-ant-canary-upstream-7c1f0e"
"""The key of the upstream: it may be seen by the upstream and nobody else."""

PROMPT_CANARY = "quokka-canary-prompt"
"""A word of prompts and answers that no log, metric, error or usage row may hold."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Gateway:
    """A running gateway. `home` holds its data and everything it writes."""

    base_url: str
    api_key: str
    admin_key: str
    home: Path
    pids: Json
    environment: dict[str, str] = field(repr=False)

    @property
    def root_url(self) -> str:
        return self.base_url.removesuffix("/v1")

    def http(self, key: str | None = None, **options: Any) -> httpx2.Client:
        """A plain HTTP client with the chat key, to be closed."""
        headers = {"authorization": f"Bearer {key or self.api_key}"}
        return httpx2.Client(base_url=self.root_url, headers=headers, timeout=30, **options)

    def admin(self) -> httpx2.Client:
        """A plain HTTP client with the admin key, to be closed."""
        return self.http(self.admin_key)

    def usage(self, **query: str) -> Json:
        """GET /admin/usage."""
        with self.admin() as http:
            response = http.get("/admin/usage", params=query)
        assert response.status_code == 200, response.text
        usage: Json = response.json()
        return usage

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Samples of /admin/metrics by name and sorted labels."""
        with self.admin() as http:
            response = http.get("/admin/metrics")
        assert response.status_code == 200, response.text
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(response.text)
            for sample in family.samples
        }

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of a name that carry these labels."""
        wanted = set(labels.items())
        return sum(
            value
            for (sample, given), value in self.metrics().items()
            if sample == name and wanted <= set(given)
        )

    def log_lines(self, event: str) -> int:
        """How often an event stands in the logs of the API."""
        logs = (self.home / "logs").glob("api-*.log*")
        return sum(path.read_text("utf-8").count(f'"event":"{event}"') for path in logs)


def gateway_of(up: Up) -> Gateway:
    """The gateway of a stack that is ready."""
    return Gateway(
        base_url=up.ready["base_url"],
        api_key=up.ready["api_key"],
        admin_key=up.ready["admin_key"],
        home=Path(up.ready["data_dir"]),
        pids=up.ready["pids"],
        # Addresses and keys of all parts are nowhere else in one place.
        environment=dict(psutil.Process(up.ready["pids"]["api"][0]).environ()),
    )


def start_up(home: Path, upstream: str, *arguments: str, **settings: str) -> Up:
    """`coding-gateway up` in front of another server that speaks Messages; to be entered."""
    fast = {"RETRY_BACKOFF_BASE": "0.02", "RATE_LIMIT_RPM": "1000000", "LOG_LEVEL": "debug"}
    return Up(
        home / "data",
        home,
        *arguments,
        prefix=dies_with_us(),
        ANTHROPIC_BASE_URL=upstream,
        ANTHROPIC_API_KEY=UPSTREAM_KEY,
        **{**fast, **settings},
    )


@contextlib.contextmanager
def api_beside(gateway: Gateway, home: Path, **settings: str) -> Iterator[Gateway]:
    """Another API process on the same servers, with its own data directory and settings."""
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    environment = {**gateway.environment, "DATA_DIR": str(home), "API_PROCESSES": "1", **settings}
    log = home / "api.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*dies_with_us(), *COMMAND, "api", "--host", "127.0.0.1", "--port", str(port)],
            cwd=home,
            env=environment,
            stdout=output,
            stderr=output,
        )
    beside = Gateway(
        base_url=f"http://127.0.0.1:{port}/v1",
        api_key=environment["GATEWAY_API_KEY"],
        admin_key=environment["ADMIN_API_KEY"],
        home=home,
        pids={"api": [process.pid]},
        environment=environment,
    )
    try:
        until(
            lambda: _is_ready(beside, process), f"the API is ready, see {log.read_text()[-2000:]}"
        )
        yield beside
    finally:
        end(process)


def _is_ready(gateway: Gateway, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, (gateway.home / "api.log").read_text()
    with contextlib.suppress(httpx2.TransportError):
        return httpx2.get(f"{gateway.root_url}/health/ready", timeout=5).status_code == 200
    return False


@contextlib.contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Processes and all their children stopped by SIGSTOP, as a server that hangs."""
    processes: list[psutil.Process] = []
    for pid in pids:
        parent = psutil.Process(pid)
        processes += [parent, *parent.children(recursive=True)]
    try:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def text_of_files(directory: Path, chosen: Callable[[Path], bool]) -> Iterator[tuple[Path, bytes]]:
    """Files below a directory with their content."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and chosen(path) and os.access(path, os.R_OK):
            yield path, path.read_bytes()
