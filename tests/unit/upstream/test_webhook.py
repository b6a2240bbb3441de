"""Webhooks go to addresses of the internet only, unless others are allowed."""

import socket
from collections.abc import Iterator

import pytest

from gateway.errors import UpstreamError, UpstreamUnreachableError
from gateway.upstream.connection_pool import ConnectionPool, PrivateAddressError
from gateway.upstream.webhook import deliver


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


def port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254",
        "0.0.0.0", "100.64.0.1", "224.0.0.1", "[::1]", "[fe80::1]", "[fd00::1]",
        "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[2002:7f00:1::]", "2130706433",
    ],
)  # fmt: skip
async def test_private_addresses_are_not_connected_to(host: str) -> None:
    pool = ConnectionPool(f"http://{host}:9", public_only=True)
    with pytest.raises(PrivateAddressError):
        await pool.connect()


async def test_a_notice_to_this_machine_is_refused_for_good(listener: socket.socket) -> None:
    with pytest.raises(UpstreamError) as caught:
        await deliver(f"http://127.0.0.1:{port(listener)}/hook", b"{}", {})
    assert (caught.value.code, caught.value.retryable) == ("webhook_private", False)
    assert "WEBHOOK_ALLOW_PRIVATE" in caught.value.message
    with pytest.raises(TimeoutError):
        listener.accept()


async def test_a_server_that_is_away_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        number = port(gone)
    with pytest.raises(UpstreamUnreachableError) as caught:
        await deliver(f"http://127.0.0.1:{number}/", b"{}", {}, allow_private=True)
    assert caught.value.retryable
