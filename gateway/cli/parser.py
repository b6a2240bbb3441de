"""The commands, their options and their help texts."""

import argparse
from pathlib import Path
from typing import TypeAlias

from gateway.cli import batch_texts, commands
from gateway.stack.ports import API_PORT, DEFAULT_PORTS, LOOPBACK
from gateway.version import VERSION

_OVERVIEW = """\
One URL for coding IDEs and agents in front of Claude.

  coding-gateway up        start everything that has no URL and serve
  coding-gateway status    what runs, and how it feels
  coding-gateway restart   replace the API processes, no request lost
  coding-gateway doctor    check each part and say how to mend it
  coding-gateway connect   configure an IDE, an agent or an SDK
  coding-gateway chat      ask something in the terminal
  coding-gateway savings   what recorded conversations cost with and without it

Settings are environment variables, read from .env too; README.md lists them.
"""

_UP = """\
Start PostgreSQL, Valkey and Temporal, unless DATABASE_URL, REDIS_URL or TEMPORAL_ADDRESS say where
they are; bring the database up to date; serve the API and run the workers. What dies is started
again. Ctrl-C stops everything in order, and data is kept for the next time.

Without ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL a simulator answers instead of Claude.
Keys for the gateway are made on the first start and kept in the data directory.
"""

_UP_EXAMPLES = """\
examples:
  coding-gateway up
  ANTHROPIC_API_KEY=sk-ant-... coding-gateway up --api-processes 4
  coding-gateway up --data-dir ~/second --port 8090      # a second stack beside the first
  coding-gateway up --json > ready.json                  # one line, when ready
"""

_CONNECT = """\
Print the configuration with which a client uses the stack that runs here: the file and what must
stand in it, variables, steps. Without a client: a list of them. With --write the client's own file
is changed: everything else in it stays, a copy with the time in its name is kept beside it, and a
second run changes nothing. A file that cannot be read is left alone.

The output holds the key. Exit code 1: nothing could be written, or no gateway was found.
"""

_CONNECT_EXAMPLES = """\
examples:
  coding-gateway connect
  coding-gateway connect codex --write
  coding-gateway connect cursor --base-url https://gateway.example.com --api-key cgw_...
"""

_CHAT = """\
Send a question to the stack that runs here and print the answer while it comes; `-` reads the
question from standard input. Without a question, in a terminal, a conversation begins.

Exit code 1: there was no answer, or only a part of one; 130: stopped by Ctrl-C.
"""

_CHAT_EXAMPLES = """\
examples:
  coding-gateway chat "What is a monad?"
  git diff | coding-gateway chat --system "Review this diff" -
"""

_SAVINGS = """\
See what the gateway saves before it is put in use: replay recorded conversations in this process
and bill each request by Claude's published rules, with the gateway's passes and without them.
Nothing is sent anywhere, and no key is needed.
"""

_REPLAY = """\
SESSIONS are files or folders: what `savings export` writes, Claude Code's logs in
~/.claude/projects, Continue's in ~/.continue; plain or gzip. The format is told by the content.

The plain price is that of the same requests without any prompt cache. Passes are those of the
settings (environment, .env); the options below go over them. Every text of the client must be
readable in what would be sent, or its cut declared there; anything else counts as hidden.

Exit code 1: a request could not be billed, something was hidden, or a file cannot be used.
"""

_REPLAY_EXAMPLES = """\
examples:
  coding-gateway savings replay ~/.claude/projects
  coding-gateway savings replay ~/.continue --model claude-opus-5-5 --chart savings.svg
  coding-gateway savings replay recorded/ --references off --without-cache   # what is left then
"""

_EXPORT = """\
Write the conversations that are kept for the Responses API out of the gateway's own database, as
JSON lines that `savings replay` reads; compressed when FILE ends in .gz. The file holds whole
prompts in clear and is readable by you alone. An existing file is not overwritten.

DATABASE_URL and ENCRYPTION_KEYS come from the environment, else from the stack that runs here.
"""

_API = """\
Serve the API alone, for production where the other parts have addresses:
DATABASE_URL, REDIS_URL, TEMPORAL_ADDRESS and ANTHROPIC_API_KEY come from the environment.

One process is `python -OO -m api.server`. With several, `kill -USR1` of this command replaces
them one after the other, and no request is lost.
"""

_WORKER = """\
Run the Temporal worker alone; the same as `python worker.py`, whose options may follow.
DATABASE_URL and TEMPORAL_ADDRESS come from the environment.

example:
  coding-gateway worker --ready-file /tmp/worker.ready
"""

_RESTART = """\
Start each API process anew, with the code that is on disk now, and end the old one when the new
one serves: its open answers go on for SHUTDOWN_GRACE_SECONDS. `kill -USR1` of the supervisor does
the same.

example, after an upgrade:
  git pull && make install && coding-gateway migrate && coding-gateway restart
"""

_MIGRATE = """\
Bring the database in DATABASE_URL to the newest schema. Safe to run at any time, from several
places at once. Without DATABASE_URL the database of a running `coding-gateway up` is taken.
"""


_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="coding-gateway",
        description=_OVERVIEW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"coding-gateway {VERSION}")
    add = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_up(add)
    _add_status(add)
    _add_restart(add)
    _add_doctor(add)
    _add_connect(add)
    _add_chat(add)
    _add_batch(add)
    _add_savings(add)
    _add_migrate(add)
    _add_api(add)
    _add_worker(add)
    return parser


def _command(
    add: _Commands, name: str, summary: str, description: str, epilog: str = ""
) -> argparse.ArgumentParser:
    command = add.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=getattr(commands, name), command=name)
    return command


def _add_up(add: _Commands) -> None:
    up = _command(add, "up", "start everything and serve", _UP, _UP_EXAMPLES)
    _data_dir(up)
    up.add_argument("--host", default=LOOPBACK, help="address of the API (default: %(default)s)")
    up.add_argument(
        "--port",
        type=_port_or_any,
        default=API_PORT,
        help="port of the API; 0 takes a free one (default: %(default)s)",
    )
    up.add_argument(
        "--api-processes",
        type=_positive,
        metavar="N",
        help="API processes on that port (default: one for each core but one, at most 4)",
    )
    up.add_argument(
        "--workers", type=_positive, default=1, metavar="N", help="worker processes (default: 1)"
    )
    up.add_argument(
        "--simulate", action="store_true", help="let the simulator answer even if a key is set"
    )
    up.add_argument(
        "--json", action="store_true", help="print one line of JSON on standard output when ready"
    )
    ports = up.add_argument_group(
        "ports of the embedded servers",
        "On 127.0.0.1 only. Unless named here, a taken port is replaced by a free one, "
        "which is remembered in the data directory.",
    )
    for name, port in DEFAULT_PORTS.items():
        ports.add_argument(f"--{name}-port", type=_port, metavar="PORT", help=f"default: {port}")


def _add_status(add: _Commands) -> None:
    status = _command(
        add,
        "status",
        "what runs, its pids, ports and health",
        "Ask every part of the stack that runs on the data directory. "
        "Exit code 0: all is well; 1: a part has a problem; 3: nothing runs.",
    )
    _data_dir(status)
    status.add_argument("--json", action="store_true", help="the same as JSON")


def _add_restart(add: _Commands) -> None:
    restart = _command(
        add,
        "restart",
        "replace the API processes one after the other; no request is lost",
        _RESTART,
    )
    _data_dir(restart)


def _add_doctor(add: _Commands) -> None:
    doctor = _command(
        add,
        "doctor",
        "check each part and say how to mend it",
        "Check programs, rights, disk, ports, addresses and keys. Changes nothing. "
        "Exit code 1 when something would keep the stack from running.",
    )
    _data_dir(doctor)
    doctor.add_argument("--port", type=_port, help="port the API is to have")


def _add_migrate(add: _Commands) -> None:
    migrate = _command(add, "migrate", "bring the database to the newest schema", _MIGRATE)
    _data_dir(migrate)
    migrate.add_argument(
        "--wait",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long to wait for a database that does not answer (default: %(default)s)",
    )


def _add_connect(add: _Commands) -> None:
    connect = _command(
        add, "connect", "configure an IDE, an agent or an SDK", _CONNECT, _CONNECT_EXAMPLES
    )
    connect.add_argument("client", nargs="?", type=_client, metavar="CLIENT", help="see the list")
    connect.add_argument("--write", action="store_true", help="change the client's own file")
    _gateway(connect)


def _add_chat(add: _Commands) -> None:
    chat = _command(add, "chat", "ask something in the terminal", _CHAT, _CHAT_EXAMPLES)
    chat.add_argument("question", nargs="*", metavar="QUESTION", help="`-` reads standard input")
    chat.add_argument("--system", metavar="TEXT", help="instructions for the model")
    chat.add_argument(
        "--no-stream", action="store_true", help="wait for the whole answer, then print it"
    )
    _gateway(chat)


def _add_savings(add: _Commands) -> None:
    savings = _command(
        add, "savings", "what recorded conversations cost with and without", _SAVINGS
    )
    actions = savings.add_subparsers(title="actions", metavar="ACTION", required=True)
    replay = _action(
        actions, "replay", "bill recorded sessions both ways", _REPLAY, _REPLAY_EXAMPLES
    )
    replay.add_argument("sessions", nargs="+", type=Path, metavar="SESSIONS", help="files, folders")
    replay.add_argument("--model", metavar="NAME", help="whose prices (default: DEFAULT_MODEL)")
    replay.add_argument(
        "--limit", type=_positive, metavar="N", help="only the first N requests of each session"
    )
    replay.add_argument("--json", type=Path, metavar="FILE", help="write every figure there too")
    replay.add_argument("--chart", type=Path, metavar="FILE", help="draw a chart, .svg or .png")
    replay.add_argument(
        "--append-log", action="store_true", help="with the append log, for clients that rewrite"
    )
    replay.add_argument(
        "--references",
        choices=("off", "whole", "runs"),
        help="which repeated text becomes a reference, for every kind of client",
    )
    replay.add_argument("--without-cache", action="store_true", help="set no prompt cache marks")
    export = _action(actions, "export", "write stored conversations to a file", _EXPORT)
    export.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")
    export.add_argument("--project", metavar="NAME", help="only this project's conversations")
    _data_dir(export)


def _add_batch(add: _Commands) -> None:
    batch = _command(add, "batch", "submit many requests at once", batch_texts.BATCH)
    actions = batch.add_subparsers(title="actions", metavar="ACTION", required=True)
    submit = _action(actions, "submit", "submit a file", batch_texts.SUBMIT, batch_texts.EXAMPLES)
    submit.add_argument("file", type=Path, metavar="FILE", help="JSON lines")
    submit.add_argument("--watch", action="store_true", help="show progress until it ends")
    submit.add_argument("--mode", choices=("auto", "paced", "anthropic"), default="auto")
    submit.add_argument("--parallelism", type=_positive, metavar="N", help="items at once")
    submit.add_argument("--endpoint", metavar="PATH", help="default: /v1/chat/completions")
    submit.add_argument("--key", metavar="TEXT", help="the same key never submits twice")
    _gateway(submit)
    for name, (summary, description) in batch_texts.ACTIONS.items():
        action = _action(actions, name, summary, description)
        if name == "list":
            action.add_argument("--limit", type=_positive, default=20, metavar="N")
        else:
            action.add_argument("id", metavar="ID", help="id of the batch")
        if name == "show":
            action.add_argument("--json", action="store_true", help="everything, as JSON")
        if name == "results":
            action.add_argument("--out", type=Path, metavar="FILE", help="file to write")
        _gateway(action)


def _action(
    actions: _Commands, name: str, summary: str, description: str, epilog: str = ""
) -> argparse.ArgumentParser:
    action = actions.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    action.set_defaults(action=name)
    return action


def _gateway(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", metavar="NAME", help="default: DEFAULT_MODEL")
    command.add_argument(
        "--base-url", metavar="URL", help="another gateway than the one that runs here"
    )
    command.add_argument(
        "--api-key",
        metavar="KEY",
        help="its key (default: GATEWAY_API_KEY, else the one of the stack that runs here)",
    )
    _data_dir(command)


def _client(text: str) -> str:
    from gateway.cli.clients.registry import CLIENTS  # noqa: PLC0415 - loads the file editors

    names = [client.name for client in CLIENTS]
    if text not in names:
        raise argparse.ArgumentTypeError(f"no client is called {text!r}: {', '.join(names)}")
    return text


def _add_api(add: _Commands) -> None:
    api = _command(add, "api", "serve the API alone", _API)
    api.add_argument("--host", default="0.0.0.0", help="default: %(default)s")  # noqa: S104
    api.add_argument("--port", type=_port_or_any, default=API_PORT, help="default: %(default)s")
    api.add_argument("--processes", type=_positive, default=1, metavar="N", help="default: 1")


def _add_worker(add: _Commands) -> None:
    _command(add, "worker", "run the Temporal worker alone", _WORKER)


def _data_dir(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="where data lives (default: DATA_DIR, else the XDG data directory, "
        "for root /var/lib/coding-gateway)",
    )


def _port(text: str) -> int:
    port = _port_or_any(text)
    if port == 0:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return port


def _port_or_any(text: str) -> int:
    if not text.isdigit() or int(text) > 65_535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("a number from 1 up is needed")
    return int(text)
