"""`python -m bench`: measures the gateway beside a byte-forwarding proxy, prints the goal table."""

import argparse
import asyncio
import contextlib
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from bench.errors import BenchError
from bench.loads import FULL, QUICK
from bench.processes import Cores, choose_cores
from bench.report import figures_table, goal_rows, goal_table, other_figures, warnings
from bench.rounds import Measured, run_rounds
from bench.stack import running_bench

_ROUNDS = 5
_QUICK_ROUNDS = 3
_BUSY = 0.5  # others' share of a core that already moves figures


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    command = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures the CPU the gateway uses, beside a proxy that only forwards bytes, "
        "in interleaved rounds on one machine. Everything runs on loopback and is ended.",
    )
    command.add_argument("--quick", action="store_true", help="fewer requests, 3 rounds")
    command.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help=f"rounds (default: {_ROUNDS}; {_QUICK_ROUNDS} with --quick); medians need 3",
    )
    command.add_argument("--json", type=Path, metavar="PATH", help="write every figure there too")
    command.add_argument(
        "--without-idiomatic", action="store_true", help="leave out the proxy shown for scale"
    )
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the bench; 0 when it measured, whatever it measured, and 1 when it could not."""
    options = parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="coding-gateway-bench-") as directory:
            scratch = Path(directory)
            scratch.chmod(0o711)  # the database may have to run as another user
            asyncio.run(_run(options, scratch))
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("bench: stopped\n")
        return 130
    return 0


async def _run(options: argparse.Namespace, scratch: Path) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    if task is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    rounds = options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS)
    cores = choose_cores()
    machine = _machine(cores)
    os.sched_setaffinity(0, cores.rest)
    _progress("starting")
    with_idiomatic = not options.without_idiomatic
    async with running_bench(scratch, cores, with_idiomatic=with_idiomatic) as bench:
        effort = QUICK if options.quick else FULL
        measured = await run_rounds(bench, effort, rounds, _progress)
        _progress("stopping")
    _tell(machine, measured)
    if options.json is not None:
        options.json.write_bytes(_as_json(machine, measured))


def _machine(cores: Cores) -> dict[str, Any]:
    load = os.getloadavg()[0]
    return {
        "processor": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "measured_alone_on_its_core": cores.are_apart,
        "load_average_before": load,
        "quiet": load < _BUSY and cores.are_apart,
    }


def _tell(machine: dict[str, Any], measured: Measured) -> None:
    lines = [
        f"{machine['system']}, {machine['cores']} cores, Python {machine['python']}; "
        f"{len(measured.rounds)} rounds, medians of CPU time and of ratios within a round",
        "",
        goal_table(goal_rows(measured)),
        "",
        figures_table(other_figures(measured)),
    ]
    notes = warnings(measured)
    if not machine["quiet"]:
        load = machine["load_average_before"]
        notes.insert(0, f"the machine was not quiet (load average {load:.1f}): trust ratios only")
    lines += ["", *(f"note: {note}" for note in notes)] if notes else []
    sys.stdout.write("\n".join(lines) + "\n")


def _as_json(machine: dict[str, Any], measured: Measured) -> bytes:
    return orjson.dumps(
        {
            "machine": machine,
            "goals": [row.as_json() for row in goal_rows(measured)],
            "other": other_figures(measured),
            "notes": warnings(measured),
            "rounds": [[asdict(sample) for sample in samples] for samples in measured.rounds],
            "memory_megabytes": measured.memory,
        },
        option=orjson.OPT_INDENT_2,
    )


def _progress(line: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"bench: {line}\n")


if __name__ == "__main__":
    sys.exit(main())
