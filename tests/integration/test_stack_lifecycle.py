"""Stopping, starting again, and what a kill -9 of the supervisor leaves."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gateway import wire
from gateway.stack.data_directory import SYSTEM_HOME
from gateway.stack.environment import program_root
from gateway.stack.run_as import RunAs, can_enter
from tests.integration.stack_command import COMMAND, Up, environment, is_gone, listed, run, until

pytestmark = pytest.mark.timeout(180)
NOBODY = RunAs("nobody", 65_534, 65_534)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory PostgreSQL's user can pass through."""
    directory = Path(tempfile.mkdtemp(prefix="gateway-stack-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


def stop_order(progress: str) -> list[str]:
    return [line.split()[0] for line in progress.splitlines() if " stopped in " in line]


def test_ctrl_c_stops_in_order_and_the_next_start_finds_its_data(place: Path) -> None:
    with Up(place / "data", place).wait_ready() as first:
        pids = listed(first.ready["pids"])
        code, rest = first.stop(signal.SIGINT)
        assert (code, rest) == (0, b"")
        assert all(is_gone(pid) for pid in pids)
        assert stop_order(first.progress) == [
            "api",
            "worker",
            "simulator",
            "temporal",
            "valkey",
            "postgres",
        ]
        assert "new database" in first.progress
        assert (
            "database system is shut down" in (place / "data" / "logs" / "postgres.log").read_text()
        )
    assert run("status", "--data-dir", str(place / "data"), cwd=place).returncode == 3
    remembered = wire.loads((place / "data" / "ports.json").read_bytes())
    with Up(place / "data", place).wait_ready() as second:
        assert second.ready["api_key"] == first.ready["api_key"]
        assert second.ready["admin_key"] == first.ready["admin_key"]
        assert "new database" not in second.progress
        assert wire.loads((place / "data" / "ports.json").read_bytes()) == remembered
        assert (place / "data" / "logs" / "api-1.log.1").exists() or not (
            place / "data" / "logs" / "api-1.log"
        ).stat().st_size
        second.stop()


def test_kill_9_of_the_supervisor_leaves_nothing_that_stops_the_next_start(place: Path) -> None:
    with Up(place / "data", place).wait_ready() as first:
        pids = listed(first.ready["pids"])
        first.process.kill()
        first.process.wait()
        with Up(place / "data", place).wait_ready() as second:
            assert second.ready["api_key"] == first.ready["api_key"]
            assert all(is_gone(pid) for pid in pids)
            assert not set(listed(second.ready["pids"])) & set(pids)
            second.stop()


def test_kill_9_while_it_starts_leaves_nothing_that_stops_the_next_start(place: Path) -> None:
    with Up(place / "data", place) as first:
        cluster_home = place / "data" / "postgres"
        until(lambda: any(cluster_home.glob("data.unfinished-*")), "initdb")
        first.process.kill()
        first.process.wait()
        with Up(place / "data", place).wait_ready() as second:
            assert "new database" in second.progress
            second.stop()


def test_an_open_stream_ends_whole_when_the_stack_is_told_to_stop(place: Path) -> None:
    with Up(place / "data", place).wait_ready() as up:
        body = {
            "model": "claude-sonnet-5-5",
            "stream": True,
            "messages": [{"role": "user", "content": "[[sim:deltas count=60 interval=0.05]]"}],
        }
        request = urllib.request.Request(
            f"{up.base_url}/chat/completions",
            wire.dumps(body),
            {"X-API-Key": up.ready["api_key"], "Content-Type": "application/json"},
        )
        received = bytearray()
        begun = threading.Event()

        def read() -> None:
            with urllib.request.urlopen(request, timeout=60) as answer:
                while piece := answer.read1(4096):
                    received.extend(piece)
                    begun.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert begun.wait(30)
        code, _ = up.stop(signal.SIGTERM)
        reader.join(30)
        assert code == 0
        assert received.rstrip().endswith(b"data: [DONE]")


def test_a_second_signal_does_not_wait_for_open_connections(place: Path) -> None:
    with Up(place / "data", place).wait_ready() as up:
        pids = listed(up.ready["pids"])
        up.process.send_signal(signal.SIGINT)
        until(lambda: "stopping" in up.progress, "the first signal")
        code, _ = up.stop(signal.SIGINT)
        assert code == 0
        assert all(is_gone(pid) for pid in pids)


def test_a_taken_port_that_was_asked_for_is_named_before_anything_starts(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(
            *("up", "--port", "0", "--data-dir", str(place / "data")),
            *("--postgres-port", str(port)),
            cwd=place,
        )
    assert done.returncode == 1
    assert f"port {port} for postgres is taken" in done.stderr
    assert " ready in " not in done.stderr


def test_a_program_that_cannot_start_is_named_and_all_is_stopped(place: Path) -> None:
    data, broken = place / "data", place / "broken"
    broken.mkdir()
    (broken / "fastapi.py").write_text("raise SystemExit('this package is broken')")
    done = run(
        *("up", "--port", "0", "--data-dir", str(data)),
        cwd=place,
        PYTHONPATH=f"{program_root()}{os.pathsep}{broken}",
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "api-1 ended with exit code 1 while starting" in done.stderr
    assert "this package is broken" in done.stderr
    assert stop_order(done.stderr)[-1] == "postgres"
    assert run("status", "--data-dir", str(data), cwd=place).returncode == 3


@as_root
@pytest.mark.skipif(not can_enter(program_root(), NOBODY), reason="checkout closed to others")
def test_an_ordinary_user_needs_nothing_of_root(place: Path) -> None:
    home = place / "home"
    home.mkdir()
    os.chown(home, NOBODY.uid, NOBODY.gid)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv is not installed")
    prefix = (setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--")
    starts_another = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    )
    command = [*prefix, sys.executable, "-c", starts_another]
    if subprocess.run(command, cwd=home, capture_output=True, check=False).returncode:
        pytest.skip("this Python stands where only root may go, so nobody else can run anything")
    with Up(home / "data", home, prefix=prefix, HOME=str(home)).wait_ready() as up:
        owners = {psutil.Process(pid).uids().effective for pid in listed(up.ready["pids"])}
        assert owners == {NOBODY.uid}
        assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700
        code, _ = up.stop()
        assert code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="needs an ordinary user")
def test_an_ordinary_user_finds_data_in_the_xdg_directory(place: Path) -> None:
    done = run("status", cwd=place, XDG_DATA_HOME=str(place / "xdg"))
    assert f"Nothing runs on {place}/xdg/coding-gateway" in done.stdout


@as_root
def test_root_opens_nobodys_home(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    with Up(closed / "data", place).wait_ready() as up:
        cluster = Path((closed / "data" / "postgres.location").read_text().strip())
        try:
            assert SYSTEM_HOME in cluster.parents
            assert stat.S_IMODE(closed.stat().st_mode) == 0o700
            code, _ = up.stop()
            assert code == 0
            with Up(closed / "data", place).wait_ready() as again:
                assert "new database" not in again.progress
                again.stop()
        finally:
            shutil.rmtree(cluster)


def test_the_api_command_serves_alone(place: Path) -> None:
    with Up(place / "data", place).wait_ready() as up:
        ports = wire.loads((place / "data" / "ports.json").read_bytes())
        keys = {path.name: path.read_text().strip() for path in (place / "data/keys").iterdir()}
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        urls = {
            "DATABASE_URL": f"postgresql://gateway:{keys['postgres']}@127.0.0.1:"
            f"{ports['postgres']}/gateway",
            "REDIS_URL": f"redis://:{keys['valkey']}@127.0.0.1:{ports['valkey']}/2",
            "TEMPORAL_ADDRESS": f"127.0.0.1:{ports['temporal']}",
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{ports['simulator']}",
            "ANTHROPIC_API_KEY": "sk-ant-test",
            "GATEWAY_API_KEY": "cgw_mine",
            "ENCRYPTION_KEYS": keys["encryption"],
            "DATA_DIR": str(place / "api-data"),
        }
        for processes in ("1", "2"):
            command = subprocess.Popen(
                [
                    *(*COMMAND, "api", "--host", "127.0.0.1", "--port", str(port)),
                    *("--processes", processes),
                ],
                cwd=place,
                env=environment(**urls),
                stderr=subprocess.PIPE,
            )
            try:
                until(lambda: _answers(port), f"the API with {processes} processes")
                command.send_signal(signal.SIGTERM)
                command.communicate(timeout=30)
                assert command.returncode in {0, -signal.SIGTERM}
            finally:
                command.kill()
        up.stop()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
