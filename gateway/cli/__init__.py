"""The command line, `coding-gateway`."""

import sys
from collections.abc import Sequence

from gateway.cli.parser import build_parser
from gateway.errors import GatewayError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 well, 1 failed, 2 wrong usage, 130 interrupted."""
    parser = build_parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "worker":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    try:
        return int(options.run(options))
    except GatewayError as error:
        sys.stderr.write(f"coding-gateway: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
