"""Which TCP port each embedded server listens on."""

import os
import random
import socket
import sys
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from gateway import wire
from gateway.stack.data_directory import write_atomically
from gateway.stack.errors import StackError

LOOPBACK = "127.0.0.1"

API_PORT = 8080
"""Where clients connect, unless --port says otherwise."""

DEFAULT_PORTS: Mapping[str, int] = {
    "postgres": 15432,
    "valkey": 16379,
    "temporal": 17233,
    "temporal-ui": 18233,
    "temporal-http": 17243,
    "simulator": 18080,
}
"""First choice of each embedded server; when taken, a free port is found and remembered."""

# Below the range from which the kernel serves outgoing connections on Linux and macOS.
_FREE_RANGE = (20_000, 32_000)
_TRIES = 200


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """True when nobody listens on `port`."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection in TIME_WAIT does not keep them from listening.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def listener(port: int) -> str:
    """Who listens on `port`, such as "nginx, pid 812"; "another program" when hidden from us."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == port
                and connection.pid
            ):
                return f"{psutil.Process(connection.pid).name()}, pid {connection.pid}"
    except psutil.Error:
        pass
    return "another program"


class Ports:
    """The ports of one stack, remembered in `path` over restarts.

    Those chosen are claimed as long as this object is there: another stack that starts in the same
    moment takes others, or its probes would find our servers in the place of its own.
    """

    def __init__(self, path: Path, asked: Mapping[str, int]) -> None:
        self._path = path
        self._asked = dict(asked)
        self._remembered = _read(path)
        self._chosen: dict[str, int] = {}
        self._claims: dict[int, int] = {}  # port -> file descriptor
        weakref.finalize(self, _let_go, self._claims)

    def choose(self, name: str) -> int:
        """The port for server `name`: the one asked for, the remembered, the default, a free one.

        Raises StackError when a port that was asked for is taken.
        """
        asked = self._asked.get(name)
        if asked:
            self._require_usable(name, asked)
            return self._keep(name, asked)
        for port in (self._remembered.get(name), DEFAULT_PORTS[name]):
            if port and port not in self._chosen.values() and self._is_usable(port):
                return self._keep(name, port)
        return self.choose_another(name)

    def choose_another(self, name: str) -> int:
        """A free port for server `name`, other than the one it has."""
        for _ in range(_TRIES):
            port = random.randint(*_FREE_RANGE)  # noqa: S311 - any free port will do
            if port not in self._chosen.values() and self._is_usable(port):
                return self._keep(name, port)
        raise StackError(f"no free TCP port for {name} between {_FREE_RANGE[0]} and 32000")

    def was_asked(self, name: str) -> bool:
        """True when the operator named the port of `name`, so that it must not be changed."""
        return bool(self._asked.get(name))

    def _keep(self, name: str, port: int) -> int:
        given_up = self._chosen.get(name)
        if given_up is not None and given_up != port:
            self._release(given_up)
        self._chosen[name] = port
        if self._remembered.get(name) != port:
            self._remembered[name] = port
            write_atomically(self._path, wire.dumps(self._remembered))
        return port

    def _is_usable(self, port: int) -> bool:
        is_ours = port in self._claims
        if not self._claim(port):
            return False
        if is_free(port):
            return True
        if not is_ours:
            self._release(port)
        return False

    def _release(self, port: int) -> None:
        claim = self._claims.pop(port, None)
        if claim is not None:
            os.close(claim)

    def _claim(self, port: int) -> bool:
        """Take the port among gateways; False when another one has it.

        A name in Linux's abstract namespace goes with the process, however that ends, and is seen
        as far as ports are. Elsewhere nothing is claimed.
        """
        if port in self._claims or sys.platform != "linux":
            return True
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as claim:
            try:
                claim.bind(f"\0coding-gateway/port/{port}")
            except OSError:
                return False
            self._claims[port] = claim.detach()
        return True

    def _require_usable(self, name: str, port: int) -> None:
        if not self._is_usable(port):
            owner = "another gateway that starts" if is_free(port) else listener(port)
            raise StackError(
                f"port {port} for {name} is taken by {owner}",
                mend=f"end that program or choose another port with --{name}-port",
            )


def _let_go(claims: dict[int, int]) -> None:
    for descriptor in claims.values():
        os.close(descriptor)


def _read(path: Path) -> dict[str, int]:
    try:
        content: Any = wire.loads(path.read_bytes())
    except (FileNotFoundError, wire.JSONDecodeError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: port for name, port in content.items() if isinstance(port, int)}


def bind_api(host: str, port: int) -> socket.socket:
    """The listening socket all API processes share; port 0 takes a free one. Raises StackError.

    It listens at once: while an API process restarts, clients wait instead of being refused.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Accepted connections inherit it. uvicorn takes a passed socket for a UNIX one and sets none:
    # the body of an answer would wait 40 ms for the acknowledgement of its head.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        bound.bind((host, port))
        bound.listen(2048)  # uvicorn's own default
    except OSError as error:
        bound.close()
        taken = f"port {port} is taken by {listener(port)}"
        raise StackError(
            taken if port and not is_free(port) else f"cannot listen on {host}: {error.strerror}",
            mend="end that program or choose another port with --port",
        ) from error
    return bound
