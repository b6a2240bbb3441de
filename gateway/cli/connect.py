"""`coding-gateway connect`: the configuration of a client, printed or merged into its file."""

import argparse
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime

from gateway.cli import console
from gateway.cli.clients import files
from gateway.cli.clients.registry import CLIENTS, find_client
from gateway.cli.clients.setup import Client, Places, Setup
from gateway.cli.clients.target import Asked, find_target
from gateway.cli.clients.tree import EditError
from gateway.config import inherited_environment


def connect(options: argparse.Namespace) -> int:
    """List the clients, print what one needs, or write it."""
    if options.client is None:
        console.result(_overview())
        return 0
    client = find_client(options.client)
    target = find_target(Asked(options.base_url, options.api_key, options.model, options.data_dir))
    setup = client.build(target, Places(inherited_environment()))
    if options.write:
        return _write(client, setup)
    console.result("\n".join(_shown(client, setup)))
    return 0


def _overview() -> str:
    rows = [("client", "", "where it is set")]
    rows += [(client.name, client.title, client.where) for client in CLIENTS]
    return (
        console.table(rows)
        + "\n\n`coding-gateway connect CLIENT` prints its configuration, --write merges it in."
    )


def _shown(client: Client, setup: Setup) -> Iterator[str]:
    yield client.title
    for file in setup.files:
        yield f"\nIn {file.path}:\n"
        yield files.fragment(file).rstrip("\n")
    yield from _by_hand(setup)
    if setup.files:
        yield f"\n`coding-gateway connect {client.name} --write` merges this into the file."


def _by_hand(setup: Setup) -> Iterator[str]:
    """What no file holds: variables, steps, code and notes."""
    if setup.environment:
        yield "\nIn the environment:\n"
        for name, value in setup.environment.items():
            yield f"export {name}={shlex.quote(value)}"
    if setup.steps:
        yield ""
        yield from (f"{number}. {step}" for number, step in enumerate(setup.steps, 1))
    if setup.code:
        yield "\n" + setup.code.rstrip("\n")
    if setup.notes:
        yield ""
        yield from (f"- {note}" for note in setup.notes)


def _write(client: Client, setup: Setup) -> int:
    if not setup.files:
        console.result("\n".join(_by_hand(setup)).lstrip("\n"))
        raise EditError(f"{client.title} has no file to write: do the above by hand")
    changes = [files.plan(file) for file in setup.files]  # all can be read before one is changed
    for file, change in zip(setup.files, changes, strict=True):
        if change is None:
            console.result(f"{file.path} has it all already")
            continue
        backup = files.write(change, datetime.now(UTC))
        console.result(f"{file.path} written" + (f", was {backup.name}" if backup else ""))
    rest = "\n".join(_by_hand(setup))
    if rest:
        console.result(rest)
    return 0
