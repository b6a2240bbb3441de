"""The supervisor with small processes of its own: restarts, limits, order, leftovers."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from gateway.stack import run_state
from gateway.stack.errors import StackError
from gateway.stack.part import Part
from gateway.stack.process import Command, Identity, identity_of
from gateway.stack.run_state import RunningPart, RunState
from gateway.stack.supervisor import RestartBudget, Supervisor, together

SLEEP = "import time; time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


class Bench:
    """A supervisor, what it reported and the records it made."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.reported: list[str] = []
        self.records: list[tuple[RunningPart, ...]] = []
        self.supervisor = Supervisor(
            self.reported.append, self.records.append, lambda: RestartBudget(limit=2)
        )

    def command(self, program: str, name: str = "part") -> Command:
        log = self.place / f"{name}.log"
        return Command((sys.executable, "-c", program), dict(os.environ), log)

    def part(
        self,
        program: str = SLEEP,
        name: str = "part",
        group: str = "api",
        ready: Callable[[], str | None] = lambda: None,
        **options: float,
    ) -> Part:
        async def probe() -> str | None:
            return ready()

        return Part(
            name=name,
            group=group,
            command=lambda: self.command(program, name),
            ready=probe,
            address=lambda: "",
            start_seconds=options.get("start_seconds", 30.0),
            stop_seconds=options.get("stop_seconds", 10.0),
        )

    def running(self, name: str = "part") -> RunningPart:
        return next(part for part in self.supervisor.running() if part.name == name)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.supervisor.hurry()
    await made.supervisor.stop()


async def until(fact: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_what_runs_is_recorded_before_it_is_ready(bench: Bench) -> None:
    await bench.supervisor.start(bench.part())
    assert [part.ready for part in bench.records[0]] == [False]
    assert bench.running().ready
    assert bench.running().identity.is_alive()


async def test_a_part_that_is_killed_is_started_again(bench: Bench) -> None:
    await bench.supervisor.start(bench.part())
    first = bench.running().identity
    os.kill(first.pid, signal.SIGKILL)
    await until(lambda: bench.running().restarts == 1 and bench.running().ready)
    assert bench.running().identity != first
    assert "part ended with exit code -9, starting it again" in bench.reported


async def test_a_part_that_keeps_dying_ends_the_stack_with_its_last_words(bench: Bench) -> None:
    said = bench.place / "flag"
    program = f"import pathlib, sys\nif pathlib.Path({str(said)!r}).exists(): sys.exit('no more')\n"
    await bench.supervisor.start(bench.part(program + SLEEP))
    said.touch()
    os.kill(bench.running().identity.pid, signal.SIGKILL)
    with pytest.raises(StackError, match="dies again and again") as caught:
        await bench.supervisor.watch()
    assert "no more" in str(caught.value)


async def test_a_part_that_ends_while_starting_is_an_error_with_its_log(bench: Bench) -> None:
    part = bench.part("import sys; sys.exit('port is taken')", ready=lambda: "not yet")
    with pytest.raises(StackError, match="ended with exit code 1 while starting") as caught:
        await bench.supervisor.start(part)
    assert "port is taken" in caught.value.detail
    assert str(bench.place / "part.log") in caught.value.mend


async def test_a_part_that_never_gets_ready_is_ended(bench: Bench) -> None:
    part = bench.part(ready=lambda: "still loading", start_seconds=0.3)
    with pytest.raises(StackError, match="not ready after 0 s: still loading"):
        await bench.supervisor.start(part)
    assert not bench.running().identity.is_alive()


async def test_a_program_that_is_not_there_is_an_error(bench: Bench) -> None:
    missing = Command((str(bench.place / "absent"),), {}, bench.place / "part.log")
    with pytest.raises(StackError, match="cannot be started"):
        await bench.supervisor.run_once("absent", missing, 5.0)


async def test_groups_stop_in_order_and_the_stubborn_are_killed(bench: Bench) -> None:
    mark = bench.place / "trapped"
    stubborn = STUBBORN.replace("time.sleep", f"open({str(mark)!r}, 'w').close(); time.sleep")
    await together(
        bench.supervisor.start(bench.part(name="db", group="postgres")),
        bench.supervisor.start(
            bench.part(
                stubborn,
                "api-1",
                stop_seconds=0.3,
                ready=lambda: None if mark.exists() else "not yet",
            )
        ),
        bench.supervisor.start(bench.part(name="worker-1", group="worker")),
    )
    identities = [part.identity for part in bench.supervisor.running()]
    await bench.supervisor.stop()
    assert not any(identity.is_alive() for identity in identities)
    stopped = [line.split()[0] for line in bench.reported if "stopped" in line]
    assert stopped == ["api", "worker", "postgres"]
    assert bench.records[-1] == ()


async def test_the_first_failure_cancels_the_other_starts(bench: Bench) -> None:
    waiting = bench.part(name="slow", ready=lambda: "not yet")
    failing = bench.part("raise SystemExit(3)", "bad", ready=lambda: "not yet")
    with pytest.raises(StackError, match="bad ended with exit code 3"):
        await together(bench.supervisor.start(waiting), bench.supervisor.start(failing))


async def test_a_command_runs_to_its_end_and_failure_shows_its_log(bench: Bench) -> None:
    done = bench.place / "done"
    await bench.supervisor.run_once(
        "touch", bench.command(f"open({str(done)!r}, 'w').close()"), 30.0
    )
    assert done.exists()
    with pytest.raises(StackError, match="migrate failed with exit code 1") as caught:
        await bench.supervisor.run_once("migrate", bench.command("1/0"), 30.0)
    assert "ZeroDivisionError" in caught.value.detail


async def test_a_command_that_takes_too_long_is_ended(bench: Bench) -> None:
    pid_file = bench.place / "pid"
    program = f"import os; open({str(pid_file)!r}, 'w').write(str(os.getpid())); {SLEEP}"
    with pytest.raises(StackError, match="did not finish"):
        await bench.supervisor.run_once("initdb", bench.command(program), 1.5)
    await until(lambda: not identity_of(int(pid_file.read_text())).is_alive())


# --- what a supervisor that was killed left ---


def start(program: str = SLEEP, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program, *words], start_new_session=True)


def record(path: Path, *parts: RunningPart) -> None:
    run_state.write(path, RunState(Identity(2**22, 1.0), parts=parts))


async def test_leftovers_are_ended_and_the_record_goes(tmp_path: Path) -> None:
    left = start()
    identity = identity_of(left.pid)
    record(tmp_path / "state.json", RunningPart("temporal", "temporal", identity, ""))
    reported: list[str] = []
    try:
        await run_state.clear_leftovers(
            tmp_path / "state.json", tmp_path / "none.pid", reported.append
        )
        assert not identity.is_alive()
        assert reported == ["clearing 1 process(es) a killed supervisor left behind"]
        assert not (tmp_path / "state.json").exists()
    finally:
        left.kill()
        left.wait()


async def test_leftovers_that_do_not_listen_are_killed(tmp_path: Path) -> None:
    left = start(STUBBORN + "  # stubborn")
    identity = identity_of(left.pid)
    record(tmp_path / "state.json", RunningPart("api-1", "api", identity, ""))
    try:
        await run_state.clear_leftovers(
            tmp_path / "state.json", tmp_path / "none.pid", lambda _: None
        )
        assert not identity.is_alive()
    finally:
        left.kill()
        left.wait()


async def test_a_process_that_got_the_number_of_a_dead_one_is_left_alone(tmp_path: Path) -> None:
    innocent = start()
    dead = Identity(innocent.pid, identity_of(innocent.pid).created - 3600)
    record(tmp_path / "state.json", RunningPart("api-1", "api", dead, ""))
    try:
        await run_state.clear_leftovers(
            tmp_path / "state.json", tmp_path / "none.pid", lambda _: None
        )
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


async def test_a_zombie_is_dead() -> None:
    child = start("pass")
    identity = identity_of(child.pid)
    try:
        await until(lambda: not identity.is_alive())
    finally:
        child.wait()


async def test_a_postmaster_is_found_by_its_own_file(tmp_path: Path) -> None:
    cluster = tmp_path / "data"
    cluster.mkdir()
    left = start(SLEEP, str(cluster))
    (cluster / "postmaster.pid").write_text(f"{left.pid}\n{cluster}\n")
    identity = identity_of(left.pid)
    try:
        # For a moment after the start of a program its words cannot be read.
        await until(lambda: psutil.Process(left.pid).cmdline())
        assert run_state.postmaster(cluster / "postmaster.pid") == identity
        await run_state.clear_leftovers(
            tmp_path / "state.json", cluster / "postmaster.pid", lambda _: None
        )
        assert not identity.is_alive()
    finally:
        left.kill()
        left.wait()
