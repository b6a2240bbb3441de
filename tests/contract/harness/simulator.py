"""A simulator process of the tests: the other server that speaks Messages."""

import base64
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2

from gateway.stack.environment import program_root
from tests.contract.harness.processes import dies_with_us, end, until

Json = dict[str, Any]


class Simulator:
    """Control of a running simulator."""

    def __init__(self, base_url: str, pid: int) -> None:
        self.base_url = base_url
        self.pid = pid
        self._http = httpx2.Client(base_url=f"{base_url}/_sim/", timeout=30)

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        response = self._http.request(method, path, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def script(self, *scripts: Json) -> None:
        """The next answers."""
        self.call("POST", "scripts", list(scripts))

    def forget(self) -> None:
        """Drops records and scripts."""
        self.call("DELETE", "requests")
        self.call("DELETE", "scripts")

    def set(self, **values: Any) -> None:
        """Changes settings, see `simulator.state.CHANGEABLE`."""
        self.call("PUT", "settings", values)

    def state(self) -> Json:
        state: Json = self.call("GET", "state")
        return state

    def requests(self) -> list[Json]:
        """Records of Messages requests, oldest first."""
        records: list[Json] = self.call("GET", "requests?path=/v1/messages")["requests"]
        return records

    def records_with(self, text: str) -> list[Json]:
        """Records whose body holds a text."""
        wanted = text.encode()
        return [each for each in self.requests() if wanted in base64.b64decode(each["body_base64"])]

    def last(self) -> Json:
        """The body of the newest request."""
        body: Json = self.requests()[-1]["body"]
        return body

    def until_left(self, text: str, seconds: float) -> Json:
        """The record of a request with `text` once its client has left."""

        def left() -> Json | None:
            found = self.records_with(text)
            return found[0] if found and found[0]["client_left"] else None

        record = until(left, "the upstream sees its client leave", seconds)
        assert record is not None
        return record


@contextlib.contextmanager
def running_simulator(*options: str) -> Iterator[Simulator]:
    """A simulator process, ended at the end of the block."""
    command = [*dies_with_us(), sys.executable, "-m", "simulator", *options]
    process = subprocess.Popen(
        command, cwd=program_root(), stdout=subprocess.PIPE, env={**os.environ}
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        simulator = Simulator(line.split('"base_url":"')[1].split('"')[0], process.pid)
        try:
            yield simulator
        finally:
            simulator.close()
    finally:
        end(process)
        if process.stdout is not None:
            process.stdout.close()
