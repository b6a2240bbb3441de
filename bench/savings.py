"""`python -m bench.savings`: what the running gateway saves on recorded conversations, over HTTP.

Every request of every session goes through `coding-gateway up`; what arrives at the other end is
billed by the API's published rules, and checked for what was hidden.
"""

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import orjson

from bench.errors import BenchError
from bench.processes import ROOT
from bench.savings_replay import running_replayer
from bench.savings_sessions import made_sessions
from gateway.errors import GatewayError
from gateway.savings.figures import Summary, summarize
from gateway.savings.session import Session
from gateway.savings.sessions import read_all
from gateway.savings.table import render

_SETTINGS = {
    "ANTHROPIC_API_KEY": "bench",
    "BENCH_CLOCK": "1",
    "RATE_LIMIT_RPM": "100000000",
    "RESPONSE_CACHE": "off",  # each request has to arrive
}


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    command = argparse.ArgumentParser(
        prog="python -m bench.savings",
        description="Replays recorded sessions through a running gateway and bills what arrives at "
        "the other end. Everything runs on loopback and is ended. Exit code 1: a request failed, "
        "something was hidden, or a reference led nowhere.",
    )
    command.add_argument(
        "sessions",
        nargs="*",
        type=Path,
        metavar="SESSIONS",
        help="files or folders; without any, conversations are made from this repository's history",
    )
    command.add_argument("--only", metavar="TEXT", help="sessions with TEXT in their id or kind")
    command.add_argument("--limit", type=int, metavar="N", help="first N requests of each session")
    command.add_argument("--append-log", action="store_true", help="for clients that rewrite")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another setting of the gateway; may be given several times",
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write every figure there too")
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the bench."""
    options = parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="coding-gateway-savings-") as directory:
            scratch = Path(directory)
            scratch.chmod(0o711)  # the database may have to run as another user
            summary = asyncio.run(_run(options, scratch))
    except (BenchError, GatewayError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("bench: stopped\n")
        return 130
    width = shutil.get_terminal_size((120, 24)).columns
    sys.stdout.write(render(summary, width) + "\n\n" + _verdict(summary) + "\n")
    if options.json is not None:
        options.json.write_bytes(orjson.dumps(summary.as_json(), option=orjson.OPT_INDENT_2))
    return 0 if summary.is_clean else 1


def _verdict(summary: Summary) -> str:
    told = summary.total.told
    return (
        f"{told.hidden} characters hidden, {told.declared} declared as cut, "
        f"{told.bad_references} bad references, {summary.total.failures} failed requests"
    )


async def _run(options: argparse.Namespace, scratch: Path) -> Summary:
    sessions = _sessions(options)
    settings = dict(_SETTINGS)
    if options.append_log:
        settings["ENABLE_APPEND_LOG"] = "1"
    for assignment in options.set:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise BenchError(f"--set wants NAME=VALUE, not {assignment}")
        settings[name] = value
    _progress("starting")
    outcomes = []
    async with running_replayer(scratch, settings) as replayer:
        for number, session in enumerate(sessions, 1):
            outcome = await replayer.replay(session, options.limit)
            outcomes.append(outcome)
            _progress(f"[{number}/{len(sessions)}] {session.id}: {outcome.plain.requests} requests")
            for failure in outcome.failures:
                _progress(f"  {failure}")
        _progress("stopping")
    return summarize(outcomes)


def _sessions(options: argparse.Namespace) -> list[Session]:
    if options.sessions:
        read = read_all(options.sessions)
        for problem in read.problems:
            _progress(f"left out: {problem}")
        sessions = read.sessions
    else:
        sessions = made_sessions(ROOT)
    wanted = options.only or ""
    chosen = [each for each in sessions if wanted in each.id or wanted in each.kind]
    if not chosen:
        raise BenchError("there is no such session")
    return chosen


def _progress(line: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"bench: {line}\n")


if __name__ == "__main__":
    sys.exit(main())
