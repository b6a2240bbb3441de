"""`coding-gateway batch`: many requests from a file, watched and read from the terminal."""

import argparse
import contextlib
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway import wire
from gateway.cli import console
from gateway.cli.batch_client import BatchClient
from gateway.cli.batch_lines import BatchLines
from gateway.cli.batch_progress import ENDED, Bar
from gateway.cli.clients.target import Asked, find_target
from gateway.cli.http_calls import CallError

_LOOK_SECONDS = 1.0
_PATIENCE_SECONDS = 120.0  # a gateway that is restarted meanwhile is no reason to give up
_IN_MEMORY_BYTES = 50_000_000


def run(options: argparse.Namespace) -> int:
    """Do one of the actions."""
    asked = Asked(options.base_url, options.api_key, options.model, options.data_dir)
    return _ACTIONS[options.action](BatchClient(find_target(asked)), options)


def _submit(client: BatchClient, options: argparse.Namespace) -> int:
    key = options.key or f"cli-{uuid.uuid4().hex}"
    lines = BatchLines(client.target.model, options.endpoint)
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as out:
        with _opened(options.file) as source:
            lines.copy(source, options.file, out)
        file_id = client.upload(out, options.file.name, key)
    asked: dict[str, Any] = {
        "input_file_id": file_id,
        "endpoint": lines.endpoint,
        "mode": options.mode,
    }
    if options.parallelism:
        asked["parallelism"] = options.parallelism
    batch = client.create(asked, key)
    console.result(batch["id"])
    return _watched(client, batch["id"]) if options.watch else 0


@contextlib.contextmanager
def _opened(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise CallError(f"{path}: {error.strerror}") from error


def _watch(client: BatchClient, options: argparse.Namespace) -> int:
    return _watched(client, options.id)


def _watched(client: BatchClient, batch_id: str) -> int:
    """Shows progress until the batch has ended; 0 when every item succeeded."""
    bar = Bar(sys.stderr)
    failing_since: float | None = None
    while True:
        try:
            batch = client.get(batch_id)
        except CallError:
            failing_since = failing_since or time.monotonic()
            if time.monotonic() - failing_since > _PATIENCE_SECONDS:
                raise
        else:
            failing_since = None
            bar.show(batch)
            if batch["status"] in ENDED:
                bar.end()
                return 0 if batch["counts"]["succeeded"] == batch["counts"]["total"] else 1
        time.sleep(_LOOK_SECONDS)


def _list(client: BatchClient, options: argparse.Namespace) -> int:
    rows = [("batch", "status", "done", "cost", "created")]
    for batch in client.page(options.limit):
        counts = batch["counts"]
        done = f"{counts['total'] - counts['waiting']}/{counts['total']}"
        cost = f"${batch['cost_usd']:.4f}"
        rows.append((batch["id"], batch["status"], done, cost, batch["created_at"] or ""))
    console.result(console.table(rows))
    return 0


def _show(client: BatchClient, options: argparse.Namespace) -> int:
    batch = client.get(options.id)
    if options.json:
        console.result(wire.dumps_text(batch))
        return 0
    counts = ", ".join(f"{count} {name}" for name, count in batch["counts"].items() if count)
    mode = batch["chosen_mode"] or batch["mode"]
    rows = [
        ("status", batch["status"]),
        ("items", counts),
        ("mode", f"{mode} ({batch['mode_reason']})" if batch["mode_reason"] else mode),
        ("cost", f"${batch['cost_usd']:.4f}"),
        ("ends about", batch["estimated_end_at"] or "-"),
        ("workflow", batch["workflow_url"] or batch["workflow_id"]),
    ]
    rows += [
        (f"item {error['index']}", (error["error"] or {}).get("message", "failed"))
        for error in batch["first_errors"]
    ]
    console.result(console.table(rows))
    return 0


def _results(client: BatchClient, options: argparse.Namespace) -> int:
    pieces = client.results(options.id)
    if options.out is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.flush()
        return 0
    try:
        with options.out.open("xb") as file:
            file.writelines(pieces)
    except FileExistsError as error:
        raise CallError(f"{options.out} is there already") from error
    return 0


def _order(client: BatchClient, options: argparse.Namespace) -> int:
    console.result(str(client.order(options.id, options.action)["status"]))
    return 0


_ACTIONS: dict[str, Callable[[BatchClient, argparse.Namespace], int]] = {
    "submit": _submit,
    "watch": _watch,
    "list": _list,
    "show": _show,
    "results": _results,
    **dict.fromkeys(("cancel", "pause", "resume", "retry"), _order),
}
