"""Today's workflows against the histories of runs that began before."""

import asyncio
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from gateway.durable import USAGE_ROLLUP_WORKFLOW, UsageRollupInput, UsageRollupResult
from workflows.registry import ALL_WORKFLOWS

HISTORIES = sorted(Path(__file__).with_name("histories").glob("*.json"))


def history(file: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(file.stem, file.read_text())


@pytest.mark.parametrize("file", HISTORIES, ids=[file.stem for file in HISTORIES])
async def test_stored_histories_replay(file: Path) -> None:
    await Replayer(workflows=ALL_WORKFLOWS).replay_workflow(history(file))


def test_every_workflow_has_a_history() -> None:
    assert {file.name.partition(".")[0] for file in HISTORIES} == {
        "background_response",
        "batch",
        "batch_sweep",
        "batch_webhook",
        "context_summary",
        "retention",
        "routing_outcomes",
        "upstream_circuit",
        "usage_rollup",
    }


@workflow.defn(name=USAGE_ROLLUP_WORKFLOW, sandboxed=False)
class ChangedWorkflow:
    """The roll-up as somebody might change it without thinking of runs under way."""

    @workflow.run
    async def run(self, wanted: UsageRollupInput) -> UsageRollupResult:
        await asyncio.sleep(1)
        return UsageRollupResult(0, 0, more=False)


async def test_a_changed_path_is_noticed() -> None:
    """Proves that the tests above can fail."""
    replayer = Replayer(workflows=[ChangedWorkflow], workflow_runner=UnsandboxedWorkflowRunner())
    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(
            history(next(f for f in HISTORIES if f.name.startswith("usage_rollup")))
        )
