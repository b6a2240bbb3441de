"""A deploy in the middle of a batch: the run goes on under the changed workflow."""

import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from gateway.durable import batch_workflow_id
from gateway.storage.batch_tables import SUCCEEDED
from tests.integration.batches.worker import (
    ROOT,
    BatchWorker,
    accepted,
    ended,
    finished,
    started,
    states,
    until,
    usage,
)
from workflows.client import TemporalEngine

pytestmark = pytest.mark.timeout(150)

ITEMS = 400
_END = (
    '        """Gives the rest its end and the batch its last status, and has the client told."""\n'
)
_CHANGE = '        if workflow.patched("look-again"):\n            await self._status()\n'


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The next version: its batches take another step before they end."""
    version = tmp_path / "next"
    shutil.copytree(ROOT / "workflows", version / "workflows")
    shutil.copy(ROOT / "worker.py", version)
    source = version / "workflows" / "batch.py"
    code = source.read_text()
    assert code.count(_END) == 1
    source.write_text(code.replace(_END, _END + _CHANGE))
    return version


@pytest.fixture
async def next_worker(
    environment: dict[str, str], changed: Path, tmp_path: Path
) -> AsyncIterator[BatchWorker]:
    """A worker of the next version, not started yet."""
    home = tmp_path / "next-home"
    home.mkdir()
    path = {"PYTHONPATH": os.pathsep.join((str(changed), str(ROOT)))}
    worker = BatchWorker(home, **{**environment, **path})
    worker.program = changed
    yield worker
    worker.kill()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_batch_goes_on_under_the_next_version(
    engine: AsyncEngine,
    durable: TemporalEngine,
    client: Client,
    worker: BatchWorker,
    next_worker: BatchWorker,
    how: signal.Signals,
) -> None:
    await worker.start("batch")
    questions = [f"[[sim:head 0.4]] [[sim:text {number}]]" for number in range(ITEMS)]
    batch = await accepted(engine, questions)
    await started(durable, batch)

    async def half_way() -> bool:
        return await finished(engine, batch) >= ITEMS // 4

    await until(half_way)
    if how is signal.SIGKILL:
        await worker.end(how)
        assert await finished(engine, batch) < ITEMS
        await next_worker.start("batch")
    else:
        await next_worker.start("batch")
        await worker.end(how)
        assert await finished(engine, batch) < ITEMS
    row = await ended(engine, batch, 90)
    assert (row.status, row.succeeded) == ("completed", ITEMS)
    assert await states(engine, batch) == {SUCCEEDED: ITEMS}
    assert await usage(engine, batch) == (ITEMS, ITEMS)
    history = await client.get_workflow_handle(batch_workflow_id(batch.id)).fetch_history()
    steps = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
    ]
    assert "batch_status" in steps  # the step that only the next version takes
