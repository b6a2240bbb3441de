"""`coding-gateway up`: everything from an empty directory to a served URL, and back down."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config import Settings
from gateway.stack import logs, probes, programs, run_state
from gateway.stack.errors import StackError
from gateway.stack.part import Part
from gateway.stack.plan import Plan, UpOptions, data_directory, make_plan
from gateway.stack.postgres import Postgres, cluster_home
from gateway.stack.process import identity_of
from gateway.stack.run_state import RunningPart, RunState
from gateway.stack.supervisor import Supervisor, together
from gateway.stack.until_stopped import until_stopped

_INITDB_SECONDS = 120.0
_MIGRATE_SECONDS = 300.0
_EXTERNAL_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Ready:
    """What a user needs to know of a stack that is up."""

    base_url: str
    api_key: str = field(repr=False)
    admin_key: str = field(repr=False)
    temporal_ui: str | None
    data_dir: Path
    simulated: bool
    state: RunState
    origin_locked: bool = False
    behind_access: bool = False


async def up(
    options: UpOptions,
    settings: Settings,
    *,
    report: Callable[[str], None],
    announce: Callable[[Ready], None],
) -> None:
    """Run the stack until a signal asks for its end. Raises StackError.

    `report` gets progress, one line each; `announce` is called once, when everything is ready.
    """
    data = data_directory(options.data_dir, settings)
    data.prepare()
    with data.hold():
        postmaster_pid = cluster_home(data) / "data" / "postmaster.pid"
        await run_state.clear_leftovers(data.state_file, postmaster_pid, report)
        plan = make_plan(options, settings, data)
        with contextlib.closing(plan.listener):
            await Stack(plan, report, announce).run()


class Stack:
    """One stack from start to stop."""

    def __init__(
        self, plan: Plan, report: Callable[[str], None], announce: Callable[[Ready], None]
    ) -> None:
        self._plan = plan
        self._report = report
        self._announce = announce
        self._identity = identity_of(os.getpid())
        self._supervisor = Supervisor(report, self._record)

    async def run(self) -> None:
        """Start, keep running until asked to stop, stop. Raises StackError."""
        try:
            await until_stopped(self._supervisor, self._start_and_watch(), self._report)
        finally:
            run_state.forget(self._plan.data.state_file)

    async def _start_and_watch(self) -> None:
        plan = self._plan
        await together(self._database(), self._cache(), self._durable_engine(), self._simulator())
        env = plan.environment()
        migrate = programs.migrate_command(env, plan.data)
        logs.rotate(plan.data.logs / "migrate.log")
        begun = asyncio.get_running_loop().time()
        await self._supervisor.run_once("migrate", migrate, _MIGRATE_SECONDS)
        took = asyncio.get_running_loop().time() - begun
        self._report(f"{'migrate':<12} ready in {took:4.1f} s")
        await self._programs(env)
        self._announce(self._ready())
        await self._supervisor.watch()

    async def _database(self) -> None:
        postgres = self._plan.postgres
        if postgres is None:
            await self._external("postgres", "DATABASE_URL")
            return
        if postgres.needs_cluster():
            await self._make_cluster(postgres)
        await self._supervisor.start(postgres.part())

    async def _make_cluster(self, postgres: Postgres) -> None:
        for command in postgres.make_cluster():
            await self._supervisor.run_once("initdb", command, _INITDB_SECONDS)
        postgres.keep_cluster()
        self._report(f"{'postgres':<12} new database in {postgres.cluster}")

    async def _cache(self) -> None:
        if self._plan.valkey is None:
            await self._external("valkey", "REDIS_URL")
            return
        await self._supervisor.start(self._plan.valkey.part())

    async def _durable_engine(self) -> None:
        if self._plan.temporal is None:
            await self._external("temporal", "TEMPORAL_ADDRESS")
            return
        await self._supervisor.start(self._plan.temporal.part())

    async def _simulator(self) -> None:
        plan = self._plan
        if plan.simulator_port:
            part = programs.simulator_part(plan.ports, plan.simulator_port, plan.data)
            await self._supervisor.start(part)

    async def _programs(self, env: dict[str, str]) -> None:
        plan = self._plan
        parts: list[Part] = [
            programs.api_part(
                number + 1,
                plan.listener,
                env,
                plan.data.run,
                log_directory=plan.data.logs,
                grace_seconds=plan.grace_seconds,
            )
            for number in range(plan.api_processes)
        ]
        parts += [
            programs.worker_part(
                number + 1, env, plan.data, grace_seconds=plan.worker_grace_seconds
            )
            for number in range(plan.workers)
        ]
        await together(*(self._supervisor.start(part) for part in parts))

    async def _external(self, name: str, variable: str) -> None:
        host, _, port = self._plan.external[name].rpartition(":")
        await until_listening(host, int(port), name, variable)
        self._report(f"{name:<12} external at {self._plan.external[name]}")

    def _record(self, parts: tuple[RunningPart, ...]) -> None:
        run_state.write(self._plan.data.state_file, self._state(parts))

    def _state(self, parts: tuple[RunningPart, ...]) -> RunState:
        plan = self._plan
        return RunState(
            supervisor=self._identity,
            base_url=plan.base_url,
            temporal_ui=plan.temporal_ui,
            simulated=bool(plan.simulator_port),
            external=dict(plan.external),
            parts=parts,
        )

    def _ready(self) -> Ready:
        plan = self._plan
        return Ready(
            base_url=plan.base_url,
            api_key=plan.keys.gateway,
            admin_key=plan.keys.admin,
            temporal_ui=plan.temporal_ui,
            data_dir=plan.data.root,
            simulated=bool(plan.simulator_port),
            state=self._state(self._supervisor.running()),
            origin_locked=plan.origin_locked,
            behind_access=plan.behind_access,
        )


async def until_listening(host: str, port: int, name: str, variable: str) -> None:
    """Wait for a server that somebody else runs. Raises StackError."""
    deadline = asyncio.get_running_loop().time() + _EXTERNAL_SECONDS
    while reason := await probes.listens(host, port):
        if asyncio.get_running_loop().time() > deadline:
            raise StackError(
                f"{name} at {host}:{port} cannot be reached: {reason}",
                mend=f"start it, correct {variable}, or unset {variable} for an embedded one",
            )
        await asyncio.sleep(0.5)
