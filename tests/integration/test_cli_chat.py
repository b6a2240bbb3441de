"""`chat` and `connect` against a stack that runs, as a user types them."""

import os
import pty
import signal
import stat
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.harness.gateway import start_up
from tests.contract.harness.processes import passable_directory
from tests.contract.harness.simulator import Simulator, running_simulator
from tests.integration.stack_command import COMMAND, Up, environment, run, until

pytestmark = pytest.mark.timeout(180)

KEY = "sk-ant-canary-upstream-7c1f0e"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with passable_directory("gateway-chat-") as home:
        yield home


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running_simulator("--delta-delay", "0", "--api-key", KEY) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def stack(place: Path, simulator: Simulator) -> Iterator[Up]:
    with start_up(place, simulator.base_url, "--api-processes", "1") as up:
        yield up.wait_ready()


@pytest.fixture(autouse=True)
def _nothing_scripted(simulator: Simulator) -> Iterator[None]:
    simulator.forget()
    yield
    simulator.set(delta_delay_seconds=0)


def data(stack: Up) -> str:
    return str(stack.data_dir)


def test_a_question_is_answered_with_the_key_of_the_stack(stack: Up, place: Path) -> None:
    done = run("chat", "--data-dir", data(stack), "Say", "hello", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "Say hello" in done.stdout
    assert done.stdout.endswith("\n")
    assert done.stderr == ""


def test_an_unstreamed_answer_is_the_same(stack: Up, place: Path) -> None:
    asked = ("chat", "--data-dir", data(stack), "Say hello")
    streamed, whole = run(*asked, cwd=place), run(*asked, "--no-stream", cwd=place)
    assert whole.stdout == streamed.stdout


def test_a_wrong_key_is_one_line(stack: Up, place: Path) -> None:
    done = run("chat", "--data-dir", data(stack), "--api-key", "wrong", "Hello", cwd=place)
    assert (done.returncode, done.stdout) == (1, "")
    assert "(401)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_connect_writes_what_the_stack_answers_to(stack: Up, place: Path) -> None:
    home = place / "home"
    home.mkdir()
    done = run("connect", "codex", "--write", "--data-dir", data(stack), cwd=place, HOME=str(home))
    assert done.returncode == 0, done.stderr
    path = home / ".codex" / "config.toml"
    provider = tomllib.loads(path.read_text())["model_providers"]["coding-gateway"]
    assert provider["base_url"] == stack.base_url
    assert f"export CODING_GATEWAY_API_KEY={stack.ready['api_key']}" in done.stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_hangs_up_and_says_nothing(stack: Up, place: Path, simulator: Simulator) -> None:
    simulator.set(delta_delay_seconds=0.5)
    process = subprocess.Popen(
        [*COMMAND, "chat", "--data-dir", data(stack), "stop-me-please"],
        cwd=place,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell's background job ignores SIGINT, and so would this child of one.
        preexec_fn=_hear_ctrl_c,  # noqa: PLW1509 - it takes no lock
    )
    until(lambda: simulator.records_with("stop-me-please"), "the question arrives")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert not out or out.endswith(b"\n")
    simulator.until_left("stop-me-please", seconds=20)


def test_a_reader_that_leaves_is_no_error(stack: Up, place: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [*COMMAND, "chat", "--data-dir", data(stack), "Hello"],
        cwd=place,
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (1, b"")


def test_a_conversation_in_a_terminal_keeps_what_was_said(
    stack: Up, place: Path, simulator: Simulator
) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "chat", "--data-dir", data(stack), "--system", "Be brief"],
        cwd=place,
        env=environment(TERM="dumb"),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        close_fds=True,
    )
    os.close(slave)
    try:
        read_until(master, b"> ")
        os.write(master, b"first question\n")
        seen = read_until(master, b"\n> ")
        assert b"\x1b[2m" in seen  # the simulator thinks aloud
        os.write(master, b"second question\n")
        read_until(master, b"\n> ")
        os.write(master, b"\x04")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    sent = simulator.last()
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
    assert "Be brief" in str(sent["system"])


def read_until(terminal: int, mark: bytes, seconds: float = 30.0) -> bytes:
    """What a terminal shows up to a mark."""
    seen = b""
    deadline = time.monotonic() + seconds
    while mark not in seen.replace(b"\r\n", b"\n"):
        assert time.monotonic() < deadline, seen
        seen += os.read(terminal, 4096)
    return seen
