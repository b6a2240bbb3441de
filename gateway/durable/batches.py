"""Batches: what their workflow is told."""

from dataclasses import dataclass

BATCH_WORKFLOW = "BatchWorkflow"


def batch_workflow_id(batch_id: str) -> str:
    """Id of the workflow that executes a batch."""
    return f"batch-{batch_id}"


@dataclass(frozen=True, slots=True)
class BatchInput:
    """A batch to execute: everything else about it lies in PostgreSQL.

    `cursor` is carried over when the workflow goes on in a new run; `searchable` where the server
    has the gateway's search attributes.
    """

    batch_id: str
    project: str
    cursor: int = 0
    searchable: bool = True
