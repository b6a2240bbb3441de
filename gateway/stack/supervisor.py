"""Starts parts, waits until they are ready, restarts what dies, stops all of it in order."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from gateway.stack import logs
from gateway.stack.errors import StackError
from gateway.stack.part import GROUPS_IN_STOP_ORDER, Part
from gateway.stack.process import Child, Command
from gateway.stack.run_state import RunningPart

_PROBE_SECONDS = 0.05
_LOG_CHECK_SECONDS = 30.0
_MISSED_SIGNAL_SECONDS = 5.0  # a bound on trusting SIGCHLD alone


class RestartBudget:
    """How long to wait before the next start of a part that died, and when to give up.

    A part that lived for a while starts again at once; one that keeps dying young waits twice as
    long each time, and after `limit` such deaths in a row the stack gives up.
    """

    def __init__(self, limit: int = 10, young_seconds: float = 5.0) -> None:
        self._limit = limit
        self._young_seconds = young_seconds
        self._deaths = 0

    def next_delay(self, lived_seconds: float) -> float | None:
        """Seconds to wait; None to give up. `lived_seconds` counts from when it was ready."""
        self._deaths = 0 if lived_seconds >= self._young_seconds else self._deaths + 1
        if self._deaths > self._limit:
            return None
        return min(0.1 * 2.0**self._deaths, 5.0)


@dataclass(slots=True)
class _Kept:
    """A part with its present process."""

    part: Part
    child: Child
    restarts: int = 0
    ready: bool = False
    ready_at: float = 0.0

    def record(self) -> RunningPart:
        return RunningPart(
            name=self.part.name,
            group=self.part.group,
            identity=self.child.identity,
            address=self.part.address(),
            restarts=self.restarts,
            ready=self.ready,
        )


class Supervisor:
    """The processes of one stack. Use it from one task on the main thread.

    `report` gets a line for each step; `record` is called with the parts after every change, so
    that a supervisor killed at any moment leaves a record of its children; each part has a
    `budget` of restarts.
    """

    def __init__(
        self,
        report: Callable[[str], None],
        record: Callable[[tuple[RunningPart, ...]], None],
        budget: Callable[[], RestartBudget] = RestartBudget,
    ) -> None:
        self._report = report
        self._record = record
        self._budget = budget
        self._kept: dict[str, _Kept] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._leaving: list[_Kept] = []
        self._restarting: asyncio.Task[None] | None = None
        self._restart_wanted = False
        self._hurry = False
        loop = asyncio.get_running_loop()
        self._gave_up: asyncio.Future[None] = loop.create_future()
        self._child_died = loop.create_future()
        loop.add_signal_handler(signal.SIGCHLD, self._on_child_died)

    def running(self) -> tuple[RunningPart, ...]:
        """What runs now."""
        return tuple(kept.record() for kept in self._kept.values())

    async def start(self, part: Part) -> None:
        """Start a part, wait until it is ready and keep it running. Raises StackError."""
        begun = time.monotonic()
        command = part.command()
        if command.log is not None:
            logs.rotate(command.log)
        try:
            kept = await self._launch(part, command, None)
        except StackError:
            if not part.another_port():
                raise
            kept = await self._launch(part, part.command(), None)
        where = f"  {part.address()}" if part.address() else ""
        self._report(f"{part.name:<12} ready in {time.monotonic() - begun:4.1f} s{where}")
        self._watch_over(kept)

    async def run_once(self, name: str, command: Command, seconds: float) -> None:
        """Run a command to its end. Raises StackError when it fails or takes too long."""
        child = _spawn(name, command)
        try:
            async with asyncio.timeout(seconds):
                code = await self._exit_of(child)
        except TimeoutError:
            raise StackError(f"{name} did not finish in {seconds:.0f} s") from None
        finally:
            if child.exit_code() is None:
                child.kill_all()
                await self._exit_of(child)
        if code != 0:
            raise StackError(
                f"{name} failed with exit code {code}",
                **_evidence(command),
            )

    async def watch(self) -> None:
        """Return never, unless a part cannot be kept running: then raise StackError."""
        while not self._gave_up.done():
            await asyncio.wait({self._gave_up}, timeout=_LOG_CHECK_SECONDS)
            for kept in self._kept.values():
                if kept.child.command.log is not None:
                    logs.shorten(kept.child.command.log)
        self._gave_up.result()

    def restart(self, group: str) -> None:
        """Replace the processes of a group one after the other; the new one first, then the old.

        Returns at once. Asked for during a restart, there will be another one.
        """
        self._restart_wanted = True
        if self._restarting is None or self._restarting.done():
            self._restarting = asyncio.create_task(self._restart(group), name=f"restart {group}")

    def hurry(self) -> None:
        """Make a running `stop` end every grace period at once."""
        self._hurry = True

    async def stop(self) -> None:
        """Stop all parts, group by group, each after its grace period at the latest."""
        tasks = [*self._keepers.values()]
        if self._restarting is not None:
            tasks.append(self._restarting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for group in GROUPS_IN_STOP_ORDER:
            everybody = [*self._kept.values(), *self._leaving]
            members = [kept for kept in everybody if kept.part.group == group]
            if members:
                await self._stop_group(group, members)
        self._kept.clear()
        self._record(())
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)

    def _watch_over(self, kept: _Kept) -> None:
        task = asyncio.create_task(self._keep(kept), name=kept.part.name)
        task.add_done_callback(self._on_keeper_done)
        self._keepers[kept.part.name] = task

    async def _restart(self, group: str) -> None:
        while self._restart_wanted:
            self._restart_wanted = False
            begun = time.monotonic()
            names = [name for name, kept in self._kept.items() if kept.part.group == group]
            async with asyncio.TaskGroup() as farewells:
                for name in names:
                    if not await self._replace(name, farewells):
                        return
            self._report(f"{group:<12} restarted in {time.monotonic() - begun:4.1f} s")

    async def _replace(self, name: str, farewells: asyncio.TaskGroup) -> bool:
        """A new process of a part in the place of the old one, False when it cannot start.

        The old one goes on until the new one is ready, and for good when that never happens.
        """
        old = self._kept[name]
        keeper = self._keepers[name]
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        try:
            new = await self._launch(old.part, old.part.command(), old)
        except StackError as error:
            self._report(f"{error}; {name} goes on as it was")
            self._kept[name] = old
            self._record(self.running())
            self._watch_over(old)
            return False
        self._watch_over(new)
        self._leaving.append(old)
        farewells.create_task(self._let_go(old))
        return True

    async def _let_go(self, old: _Kept) -> None:
        await self._stop_group(old.part.group, [old])
        self._leaving.remove(old)

    async def _launch(self, part: Part, command: Command, before: _Kept | None) -> _Kept:
        """A new process of `part`, ready. Raises StackError, with the process ended."""
        kept = _Kept(part, _spawn(part.name, command), before.restarts + 1 if before else 0)
        self._kept[part.name] = kept
        self._record(self.running())
        try:
            await self._until_ready(kept)
        except StackError:
            kept.child.kill_all()
            await self._exit_of(kept.child)
            raise
        kept.ready = True
        kept.ready_at = time.monotonic()
        self._record(self.running())
        return kept

    async def _until_ready(self, kept: _Kept) -> None:
        part = kept.part
        deadline = time.monotonic() + part.start_seconds
        probe = part.ready_again if kept.restarts and part.ready_again else part.ready
        reason: str | None = "not asked yet"
        while reason is not None:
            code = kept.child.exit_code()
            if code is not None:
                raise StackError(
                    f"{part.name} ended with exit code {code} while starting",
                    **_evidence(kept.child.command),
                )
            if time.monotonic() > deadline:
                raise StackError(
                    f"{part.name} was not ready after {part.start_seconds:.0f} s: {reason}",
                    **_evidence(kept.child.command),
                )
            await asyncio.sleep(_PROBE_SECONDS)
            reason = await probe()

    async def _keep(self, kept: _Kept) -> None:
        budget = self._budget()
        while True:
            code = await self._exit_of(kept.child)
            lived = time.monotonic() - kept.ready_at if kept.ready else 0.0
            kept.ready = False
            self._record(self.running())
            delay = budget.next_delay(lived)
            if delay is None:
                raise StackError(
                    f"{kept.part.name} dies again and again; giving up",
                    **_evidence(kept.child.command),
                )
            self._report(f"{kept.part.name} ended with exit code {code}, starting it again")
            await asyncio.sleep(delay)
            kept = await self._relaunch(kept)

    async def _relaunch(self, kept: _Kept) -> _Kept:
        try:
            again = await self._launch(kept.part, kept.part.command(), kept)
        except StackError as error:
            self._report(str(error))
            return self._kept[kept.part.name]
        self._report(f"{kept.part.name} is back, pid {again.child.pid}")
        return again

    def _on_keeper_done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._gave_up.done():
            return
        error = task.exception()
        if error is not None:
            self._gave_up.set_exception(error)

    async def _stop_group(self, group: str, members: Iterable[_Kept]) -> None:
        begun = time.monotonic()
        alive = [kept for kept in members if kept.child.exit_code() is None]
        for kept in alive:
            kept.child.send(kept.part.stop_signal)
        # A database that is cut short repairs itself at the next start, but is slow about it.
        patient = group in {"postgres", "valkey"}
        for kept in alive:
            deadline = begun + kept.part.stop_seconds
            if not await self._exits_before(deadline, kept.child, patient=patient):
                kept.child.kill_all()
                await self._exit_of(kept.child)
        if alive:
            self._report(f"{group:<12} stopped in {time.monotonic() - begun:4.1f} s")

    async def _exits_before(self, deadline: float, child: Child, *, patient: bool) -> bool:
        while child.exit_code() is None:
            if time.monotonic() > deadline or (self._hurry and not patient):
                return False
            await asyncio.sleep(_PROBE_SECONDS)
        return True

    async def _exit_of(self, child: Child) -> int:
        while True:
            died = self._child_died
            code = child.exit_code()
            if code is not None:
                return code
            await asyncio.wait({died}, timeout=_MISSED_SIGNAL_SECONDS)

    def _on_child_died(self) -> None:
        died = self._child_died
        self._child_died = asyncio.get_running_loop().create_future()
        died.set_result(None)


def _evidence(command: Command) -> dict[str, str]:
    if command.log is None:
        return {}
    return {"detail": logs.tail(command.log), "mend": f"the whole log: {command.log}"}


def _spawn(name: str, command: Command) -> Child:
    try:
        return Child(command)
    except OSError as error:
        raise StackError(f"{name} cannot be started: {error}") from error


async def together(*steps: Awaitable[None]) -> None:
    """Await all; the first failure cancels the others and is raised as it is."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
