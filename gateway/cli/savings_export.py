"""`coding-gateway savings export`: stored conversations written to a file for replays."""

import argparse
import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

from gateway.cli import console
from gateway.config import Settings, load_settings
from gateway.savings.neutral_format import neutral_lines
from gateway.savings.session import Session, SessionError
from gateway.savings.stored_conversations import StoredConversations
from gateway.services.from_settings import sealer_of
from gateway.stack.data_directory import DataDirectory
from gateway.stack.errors import StackError
from gateway.stack.keys import load_keys
from gateway.stack.plan import data_directory
from gateway.stack.postgres import running_url
from gateway.storage.database import create_engine
from gateway.storage.response_store import ResponseTable


def export(options: argparse.Namespace) -> int:
    """Write the conversations; 1 when there are none, or the file cannot be written."""
    settings = load_settings()
    data = data_directory(options.data_dir, settings)
    written, skipped = asyncio.run(_export(options, settings, data))
    if skipped:
        console.progress(f"{skipped} responses could not be read and were left out")
    if not written:
        raise SessionError("no conversation is stored; only the Responses API keeps any")
    console.progress(f"{written} conversations written to {options.out}")
    return 0


async def _export(
    options: argparse.Namespace, settings: Settings, data: DataDirectory
) -> tuple[int, int]:
    url, settings = _found(settings, data)
    engine = create_engine(url)
    try:
        stored = StoredConversations(ResponseTable(engine), sealer_of(settings))
        written = await _write(options.out, stored.sessions(options.project))
        return written, stored.skipped
    finally:
        await engine.dispose()


def _found(settings: Settings, data: DataDirectory) -> tuple[str, Settings]:
    """The database and the keys: those of the settings, else of the stack that runs here."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value(), settings
    url = running_url(data)
    if url is None:
        raise StackError(
            "DATABASE_URL is not set and no stack runs here",
            mend="set DATABASE_URL and ENCRYPTION_KEYS, or start `coding-gateway up`",
        )
    return url, load_settings(encryption_keys=load_keys(data, settings).encryption)


async def _write(path: Path, sessions: AsyncIterator[Session]) -> int:
    """How many sessions went to the file, which begins with the first of them."""
    written = 0
    with ExitStack() as stack:
        file: BinaryIO | None = None
        async for session in sessions:
            if file is None:
                file = _created(path, stack)
            file.writelines(neutral_lines(session))
            written += 1
    return written


def _created(path: Path, stack: ExitStack) -> BinaryIO:
    """A new file that only its owner reads. Raises SessionError when there is one already."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise SessionError(f"{path}: cannot be written: {error.strerror}") from error
    plain = stack.enter_context(os.fdopen(descriptor, "wb"))
    if path.suffix != ".gz":
        return plain
    return cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=plain, mode="wb")))
