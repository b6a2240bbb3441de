"""The commands, their options and their help texts."""

import argparse
from pathlib import Path
from typing import TypeAlias

from gateway.cli import batch_texts, command_texts, commands
from gateway.stack.ports import API_PORT, DEFAULT_PORTS, LOOPBACK
from gateway.version import VERSION

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="coding-gateway",
        description=command_texts.OVERVIEW,
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
    up = _command(
        add, "up", "start everything and serve", command_texts.UP, command_texts.UP_EXAMPLES
    )
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
        command_texts.RESTART,
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
    migrate = _command(
        add, "migrate", "bring the database to the newest schema", command_texts.MIGRATE
    )
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
        add,
        "connect",
        "configure an IDE, an agent or an SDK",
        command_texts.CONNECT,
        command_texts.CONNECT_EXAMPLES,
    )
    connect.add_argument("client", nargs="?", type=_client, metavar="CLIENT", help="see the list")
    connect.add_argument("--write", action="store_true", help="change the client's own file")
    _gateway(connect)


def _add_chat(add: _Commands) -> None:
    chat = _command(
        add,
        "chat",
        "ask something in the terminal",
        command_texts.CHAT,
        command_texts.CHAT_EXAMPLES,
    )
    chat.add_argument("question", nargs="*", metavar="QUESTION", help="`-` reads standard input")
    chat.add_argument("--system", metavar="TEXT", help="instructions for the model")
    chat.add_argument(
        "--no-stream", action="store_true", help="wait for the whole answer, then print it"
    )
    _gateway(chat)


def _add_savings(add: _Commands) -> None:
    savings = _command(
        add, "savings", "what recorded conversations cost with and without", command_texts.SAVINGS
    )
    actions = savings.add_subparsers(title="actions", metavar="ACTION", required=True)
    replay = _action(
        actions,
        "replay",
        "bill recorded sessions both ways",
        command_texts.REPLAY,
        command_texts.REPLAY_EXAMPLES,
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
    export = _action(
        actions, "export", "write stored conversations to a file", command_texts.EXPORT
    )
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
    api = _command(add, "api", "serve the API alone", command_texts.API)
    api.add_argument("--host", default="0.0.0.0", help="default: %(default)s")  # noqa: S104
    api.add_argument("--port", type=_port_or_any, default=API_PORT, help="default: %(default)s")
    api.add_argument("--processes", type=_positive, default=1, metavar="N", help="default: 1")


def _add_worker(add: _Commands) -> None:
    _command(add, "worker", "run the Temporal worker alone", command_texts.WORKER)


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
