"""`python -m simulator`: the command line."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from simulator import batch_faults, control, instant, markers
from simulator.server import serve
from simulator.state import Settings


def parser() -> argparse.ArgumentParser:
    """The command line's parser; its help holds the grammar of markers and controls."""
    command = argparse.ArgumentParser(
        prog="python -m simulator",
        description="A faithful Anthropic Messages API for first runs, tests and benches. "
        "There is no model behind it.",
        epilog="\n\n".join(
            each.__doc__ or "" for each in (markers, control, batch_faults, instant)
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=0, help="port; 0 takes a free one (default)")
    add("--port-file", type=Path, help="file that gets the same line of JSON as stdout")
    add("--api-key", help="the only key accepted; without it any non-empty key is")
    add("--instant", action="store_true", help="prebuilt answers, no checks: a bench upstream")
    add(
        "--delta-delay",
        type=float,
        default=0.005,
        metavar="SECONDS",
        help="pause between the events of a stream (default: %(default)s)",
    )
    add(
        "--head-delay",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="pause before every answer (default: %(default)s)",
    )
    add(
        "--batch-seconds",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="how long a Message Batch takes (default: %(default)s)",
    )
    add(
        "--no-prefix-binding",
        action="store_true",
        help="accept thinking blocks whose conversation changed, as older accounts do",
    )
    add(
        "--account-per-key", action="store_true", help="every API key is an organization of its own"
    )
    add("--no-control", action="store_true", help="no endpoints under /_sim/, nothing recorded")
    add("--no-markers", action="store_true", help="do not obey [[sim:...]] in prompts")
    return command


def settings_from(options: argparse.Namespace) -> Settings:
    """The settings of parsed options."""
    return Settings(
        api_key=options.api_key,
        instant=options.instant,
        control=not options.no_control,
        prefix_binding=not options.no_prefix_binding,
        account_per_key=options.account_per_key,
        delta_delay_seconds=options.delta_delay,
        head_delay_seconds=options.head_delay,
        record=not options.no_control,
        batch_seconds=options.batch_seconds,
        markers=not options.no_markers,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the simulator until it is interrupted."""
    options = parser().parse_args(arguments)
    serve(settings_from(options), options.host, options.port, options.port_file)


if __name__ == "__main__":
    main()
