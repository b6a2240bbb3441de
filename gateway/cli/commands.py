"""What each command does. What is large loads only in the commands that need it."""

import argparse
import asyncio
import os
from dataclasses import asdict
from typing import NoReturn

from gateway import wire
from gateway.cli import console
from gateway.config import load_settings
from gateway.errors import UnavailableError
from gateway.stack import announce, api_server, environment, launch, programs
from gateway.stack.doctor import default_port, examine
from gateway.stack.errors import StackError
from gateway.stack.plan import UpOptions, data_directory, needs_simulator
from gateway.stack.ports import DEFAULT_PORTS
from gateway.stack.postgres import running_url
from gateway.stack.rolling_restart import restart_api
from gateway.stack.status import StackStatus, read_status

_NOTHING_RUNS = 3
_NO_DATABASE = 75  # EX_TEMPFAIL of sysexits.h: to be tried again


def up(options: argparse.Namespace) -> int:
    """Start everything, serve until stopped."""
    from gateway.services.from_settings import check_before_start  # noqa: PLC0415 - loads the passes

    def tell(ready: launch.Ready) -> None:
        if options.json:
            if ready.simulated:
                console.progress(announce.simulator_banner())
            console.result(announce.ready_line(ready))
        else:
            console.result(announce.summary(ready))

    wanted = UpOptions(
        data_dir=options.data_dir,
        host=options.host,
        port=options.port,
        api_processes=options.api_processes,
        workers=options.workers,
        simulate=options.simulate,
        ports={name: port for name in DEFAULT_PORTS if (port := _port_option(options, name))},
    )
    settings = load_settings()
    check_before_start(settings, simulates=options.simulate or needs_simulator(settings))
    asyncio.run(launch.up(wanted, settings, report=console.progress, announce=tell))
    return 0


def _port_option(options: argparse.Namespace, name: str) -> int | None:
    port: int | None = getattr(options, f"{name.replace('-', '_')}_port")
    return port


def status(options: argparse.Namespace) -> int:
    """Print what runs."""
    data = data_directory(options.data_dir, load_settings())
    now = asyncio.run(read_status(data))
    console.result(wire.dumps_text(asdict(now)) if options.json else _status_text(now))
    if now.supervisor is None:
        return _NOTHING_RUNS
    return 0 if now.is_healthy else 1


def _status_text(now: StackStatus) -> str:
    if now.supervisor is None:
        text = f"Nothing runs on {now.data_dir}."
        left = [part.name for part in now.parts if part.problem != "not running" and part.pid]
        if left:
            text += f"\nLeft by a killed supervisor: {', '.join(left)}; the next `up` clears them."
        return text
    rows = [("part", "pid", "restarts", "health", "address")]
    rows += [
        (
            part.name,
            str(part.pid or "-"),
            str(part.restarts),
            part.problem or "ok",
            part.address,
        )
        for part in now.parts
    ]
    lines = [
        f"{now.base_url}  (supervisor {now.supervisor}, data {now.data_dir})",
        *(["The simulator answers, not Claude."] if now.simulated else []),
        *([f"Temporal UI: {now.temporal_ui}"] if now.temporal_ui else []),
        "",
        console.table(rows),
    ]
    return "\n".join(lines)


def restart(options: argparse.Namespace) -> int:
    """Replace the API processes of a running stack; no request is lost."""
    data = data_directory(options.data_dir, load_settings())
    asyncio.run(restart_api(data, console.progress))
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Print every check and what to do about the bad ones."""
    from gateway.services.from_settings import check_before_start  # noqa: PLC0415 - loads the passes
    from gateway.storage.server_check import describe_server  # noqa: PLC0415 - loads SQLAlchemy

    settings = load_settings()
    check_before_start(settings, simulates=needs_simulator(settings))
    data = data_directory(options.data_dir, settings)
    port = options.port or default_port(data)
    checks = asyncio.run(examine(data, settings, port, describe_server))
    rows = [(check.grade, check.name, check.found) for check in checks]
    lines = console.table(rows).splitlines()
    for line, check in zip(lines, checks, strict=True):
        console.result(line)
        if check.mend:
            console.result(f"      -> {check.mend}")
    return 1 if any(check.grade == "fail" for check in checks) else 0


def migrate(options: argparse.Namespace) -> int:
    """Bring the database to the newest schema."""
    from gateway.storage.migrate import migrate as run  # noqa: PLC0415 - loads SQLAlchemy

    settings = load_settings()
    url = settings.database_url.get_secret_value() if settings.database_url else None
    if url is None:
        url = _embedded_url(options)
    try:
        revision = asyncio.run(run(url, wait_seconds=options.wait))
    except UnavailableError as error:
        console.progress(f"coding-gateway: {error}")
        return _NO_DATABASE
    console.progress(f"the database is at revision {revision}")
    return 0


def _embedded_url(options: argparse.Namespace) -> str:

    url = running_url(data_directory(options.data_dir, load_settings()))
    if url is None:
        raise StackError(
            "DATABASE_URL is not set and no stack runs here",
            mend="set DATABASE_URL, or start `coding-gateway up`, which migrates by itself",
        )
    return url


def connect(options: argparse.Namespace) -> int:
    """Print or write the configuration of a client."""
    from gateway.cli.connect import connect as run  # noqa: PLC0415 - loads YAML and TOML editors

    return run(options)


def chat(options: argparse.Namespace) -> int:
    """Answer a question in the terminal."""
    from gateway.cli.chat import chat as run  # noqa: PLC0415 - loads the HTTP client

    return run(options)


def batch(options: argparse.Namespace) -> int:
    """Submit many requests, or look at batches."""
    from gateway.cli.batch import run  # noqa: PLC0415 - loads the HTTP client

    return run(options)


def savings(options: argparse.Namespace) -> int:
    """Replay recorded conversations, or export stored ones."""
    from gateway.cli.savings import run  # noqa: PLC0415 - loads the passes

    return run(options)


def api(options: argparse.Namespace) -> int:
    """Serve the API; one process takes the place of this one."""
    settings = load_settings()
    if options.processes > 1:
        from gateway.services.from_settings import check_settings  # noqa: PLC0415 - loads the passes

        check_settings(settings)
        grace, listens = settings.shutdown_grace_seconds, (options.host, options.port)
        asyncio.run(api_server.serve(listens, options.processes, grace, console.progress))
        return 0
    where = ("--host", options.host, "--port", str(options.port))
    return _become((*programs.api_arguments(), *where))


def worker(options: argparse.Namespace) -> int:
    """Run `worker.py` in the place of this process."""
    return _become(programs.worker_arguments(options.rest))


def _become(arguments: tuple[str, ...]) -> NoReturn:
    """Replace this process, so that signals and the exit code are the program's own."""
    os.execve(arguments[0], arguments, environment.for_programs({}))  # noqa: S606
