"""Connections to one server: made when needed, kept for the next request, closed in time."""

import asyncio
import ipaddress
import socket
import ssl
import time
from collections import deque
from urllib.parse import urlsplit

import aiohappyeyeballs

from gateway.upstream.http_connection import HTTPConnection
from gateway.upstream.quick_reads import QuickReads, Rests

_CONNECT_SECONDS = 10.0
_KEEP_ALIVE_SECONDS = 55.0  # below the 60 s after which common load balancers drop idle connections
_NEXT_ADDRESS_SECONDS = 0.25  # RFC 8305: IPv6 may be there and lead nowhere
_PORTS = {"http": 80, "https": 443}


class PrivateAddressError(OSError):
    """The server has no address that may be connected to."""


class ConnectionPool:
    """The connections to the server of `base_url`, any number of them. Close it at the end.

    `public_only`: connect to addresses of the internet only, whatever names stand for.
    """

    def __init__(self, base_url: str, *, public_only: bool = False) -> None:
        self._public_only = public_only
        parts = urlsplit(base_url)
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        self._idle: deque[tuple[HTTPConnection, float]] = deque()
        self._all: set[HTTPConnection] = set()
        self._rests = Rests()

    def take_idle(self) -> HTTPConnection | None:
        """The connection that was used last; None when there is none that is free."""
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_open and time.monotonic() - since < _KEEP_ALIVE_SECONDS:
                return connection
            connection.abort()
        return None

    async def connect(self) -> HTTPConnection:
        """A new connection. Raises OSError."""
        async with asyncio.timeout(_CONNECT_SECONDS):
            return await self._connect()

    def close(self) -> None:
        """Close all connections."""
        for connection in list(self._all):
            connection.abort()
        self._idle.clear()

    @property
    def idle_count(self) -> int:
        """Connections that wait for a request."""
        return len(self._idle)

    def keep(self, connection: HTTPConnection) -> None:
        """Have a connection whose answer is complete for the next request."""
        now = time.monotonic()
        self._idle.append((connection, now))
        # This one may be closed already: the server ended it with its answer.
        while self._idle and (
            now - self._idle[0][1] >= _KEEP_ALIVE_SECONDS or not self._idle[0][0].is_open
        ):
            self._idle.popleft()[0].abort()

    async def _connect(self) -> HTTPConnection:
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        if self._public_only:
            addresses = [each for each in addresses if _is_public(str(each[4][0]))]
            if not addresses:
                raise PrivateAddressError(f"{self._host} has no public address")
        connected = await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, interleave=1, loop=loop
        )
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reads = QuickReads(connected, self._rests)
            _, connection = await loop.create_connection(
                lambda: HTTPConnection(self.keep, self._all.discard, reads),
                sock=connected,
                ssl=self._tls,
                server_hostname=self._host if self._tls is not None else None,
            )
        except BaseException:
            connected.close()
            raise
        self._all.add(connection)
        return connection


def _is_public(address: str) -> bool:
    """True for an address of the internet; IPv4 inside IPv6 counts as what it leads to."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or found
    return found.is_global and not found.is_multicast
