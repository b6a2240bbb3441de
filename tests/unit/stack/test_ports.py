"""Ports: defaults, memory, and what happens when one is taken."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.stack.errors import StackError
from gateway.stack.ports import DEFAULT_PORTS, Ports, bind_api, is_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = Ports(path, {}).choose_another("postgres")
    assert Ports(path, {}).choose("postgres") == first


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is claimed elsewhere")
def test_stacks_that_start_in_one_moment_have_ports_of_their_own(tmp_path: Path) -> None:
    first, second = Ports(tmp_path / "one.json", {}), Ports(tmp_path / "two.json", {})
    ours = [first.choose(name) for name in DEFAULT_PORTS]
    theirs = [second.choose(name) for name in DEFAULT_PORTS]
    assert set(ours).isdisjoint(theirs)
    asked = Ports(tmp_path / "three.json", {"valkey": ours[0]})
    with pytest.raises(StackError, match="another gateway that starts"):
        asked.choose("valkey")
    del first
    assert asked.choose("valkey") == ours[0], "a claim goes with who made it"


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is claimed elsewhere")
def test_a_port_that_is_not_used_is_not_claimed(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        path.write_text(f'{{"valkey": {taken}}}')
        first = Ports(path, {})
        assert first.choose("valkey") != taken
    assert Ports(tmp_path / "two.json", {"valkey": taken}).choose("valkey") == taken
    given_up = first.choose_another("postgres")
    assert first.choose_another("postgres") != given_up
    assert Ports(tmp_path / "three.json", {"postgres": given_up}).choose("postgres") == given_up


def test_the_default_comes_first_when_it_is_free(tmp_path: Path) -> None:
    chosen = Ports(tmp_path / "ports.json", {}).choose("valkey")
    default = DEFAULT_PORTS["valkey"]
    assert chosen == default or not is_free(default)


def test_a_remembered_port_that_is_taken_is_replaced(tmp_path: Path, taken: int) -> None:
    path = tmp_path / "ports.json"
    path.write_text(f'{{"postgres": {taken}}}')
    chosen = Ports(path, {}).choose("postgres")
    assert chosen != taken
    assert Ports(path, {}).choose("postgres") == chosen


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(tmp_path: Path, taken: int) -> None:
    ports = Ports(tmp_path / "ports.json", {"temporal-ui": taken})
    with pytest.raises(StackError, match=f"port {taken} for temporal-ui is taken") as caught:
        ports.choose("temporal-ui")
    assert "--temporal-ui-port" in caught.value.mend
    assert ports.was_asked("temporal-ui")


def test_no_port_is_given_twice(tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json", {})
    chosen = [ports.choose(name) for name in DEFAULT_PORTS]
    assert len(set(chosen)) == len(DEFAULT_PORTS)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"postgres": "x"}'])
def test_a_broken_memory_is_forgotten(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ports.json"
    path.write_text(content)
    assert Ports(path, {}).choose("postgres") > 1024


def test_the_api_port_that_is_taken_names_the_way_out(taken: int) -> None:
    with pytest.raises(StackError, match=f"port {taken} is taken") as caught:
        bind_api("127.0.0.1", taken)
    assert "--port" in caught.value.mend


def test_the_api_socket_accepts_at_once_and_only_there() -> None:
    with bind_api("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        socket.create_connection((host, port), timeout=5).close()
        assert not is_free(port)


def test_an_address_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(StackError, match=r"cannot listen on 192\.0\.2\.1"):  # RFC 5737, nobody's
        bind_api("192.0.2.1", 0)


def test_answers_do_not_wait_for_acknowledgements() -> None:
    with bind_api("127.0.0.1", 0) as listener:
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
