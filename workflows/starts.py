"""Workflows that a request starts, by name."""

import contextlib
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from gateway.durable import (
    BACKGROUND_QUEUE,
    BACKGROUND_WORKFLOW,
    BATCH_QUEUE,
    BATCH_WORKFLOW,
    CONTEXT_SUMMARY_WORKFLOW,
    MAINTENANCE_QUEUE,
    UPSTREAM_CIRCUIT_WORKFLOW,
    BackgroundInput,
    BatchInput,
    CircuitInput,
    CircuitOrder,
    CircuitView,
    ContextSummaryInput,
    background_workflow_id,
    batch_workflow_id,
    circuit_workflow_id,
    context_summary_id,
)
from workflows.options import CONTEXT_SUMMARY_RUN_TIMEOUT, WORKFLOW_TASK_TIMEOUT

_Result = TypeVar("_Result")
_Result_co = TypeVar("_Result_co", covariant=True)


async def start_context_summary(client: Client, wanted: ContextSummaryInput) -> None:
    """Starts the writing of a summary; one that failed may be tried again."""
    try:
        await client.start_workflow(
            CONTEXT_SUMMARY_WORKFLOW,
            wanted,
            id=context_summary_id(wanted.key),
            task_queue=MAINTENANCE_QUEUE,
            run_timeout=CONTEXT_SUMMARY_RUN_TIMEOUT,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            static_summary="Summarise the beginning of a long conversation",
        )
    except WorkflowAlreadyStartedError:
        return


async def start_batch(client: Client, wanted: BatchInput) -> None:
    """Starts the workflow of a batch, unless it runs; a retry starts one that is done again."""

    async def start(*, searchable: bool) -> None:
        await client.start_workflow(
            BATCH_WORKFLOW,
            replace(wanted, searchable=searchable),
            id=batch_workflow_id(wanted.batch_id),
            task_queue=BATCH_QUEUE,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            # One that is about to end when a retry comes must not end without it.
            start_signal="begin",
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            priority=Priority(fairness_key=wanted.project[:64]),
            static_summary=f"Batch {wanted.batch_id}",
            search_attributes=_job_attributes(
                "batch", wanted.project, "validating", searchable=searchable
            ),
        )

    await _searchable_if_possible(start)


async def signal_batch(client: Client, batch_id: str, signal: str) -> None:
    """Signals the workflow of a batch; without one the status in PostgreSQL says it all."""
    await _signal_if_it_runs(client, batch_workflow_id(batch_id), signal)


async def start_background(client: Client, wanted: BackgroundInput) -> None:
    """Starts the workflow of a response, which runs once."""

    async def start(*, searchable: bool) -> None:
        await client.start_workflow(
            BACKGROUND_WORKFLOW,
            replace(wanted, searchable=searchable),
            id=background_workflow_id(wanted.response_id),
            task_queue=BACKGROUND_QUEUE,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            priority=Priority(fairness_key=wanted.project[:64]),
            static_summary=f"Response {wanted.response_id}",
            search_attributes=_job_attributes(
                "background", wanted.project, "queued", searchable=searchable
            ),
        )

    with contextlib.suppress(WorkflowAlreadyStartedError):
        await _searchable_if_possible(start)


async def cancel_background(client: Client, response_id: str) -> None:
    """Tells the workflow of a response; without one the status in PostgreSQL says it all."""
    await _signal_if_it_runs(client, background_workflow_id(response_id), "cancel")


async def _signal_if_it_runs(client: Client, workflow_id: str, signal: str) -> None:
    try:
        await client.get_workflow_handle(workflow_id).signal(signal)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


async def tell_circuit(client: Client, wanted: CircuitInput, order: CircuitOrder) -> None:
    """Tells the workflow of a circuit, which a failure starts; the rest is for one that runs."""
    workflow_id = circuit_workflow_id(wanted.circuit)
    if order.state != "open":
        try:
            await client.get_workflow_handle(workflow_id).signal("tell", order)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        return

    async def start(*, searchable: bool) -> None:
        await client.start_workflow(
            UPSTREAM_CIRCUIT_WORKFLOW,
            replace(wanted, searchable=searchable),
            start_signal="tell",
            start_signal_args=[order],
            search_attributes=_circuit_attributes(searchable=searchable),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            **_circuit_options(wanted.circuit),
        )

    await _searchable_if_possible(start)


async def order_circuit(client: Client, wanted: CircuitInput, order: CircuitOrder) -> CircuitView:
    """What an operator wants, done by the workflow of the circuit, which is started if need be."""

    async def update(*, searchable: bool) -> CircuitView:
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            UPSTREAM_CIRCUIT_WORKFLOW,
            replace(wanted, searchable=searchable),
            search_attributes=_circuit_attributes(searchable=searchable),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            **_circuit_options(wanted.circuit),
        )
        view: CircuitView = await client.execute_update_with_start_workflow(
            "order", order, start_workflow_operation=start, result_type=CircuitView
        )
        return view

    return await _searchable_if_possible(update)


class _Start(Protocol[_Result_co]):
    def __call__(self, *, searchable: bool) -> Awaitable[_Result_co]: ...


async def _searchable_if_possible(start: _Start[_Result]) -> _Result:
    """Starts with search attributes, or without where the server does not know them."""
    try:
        return await start(searchable=True)
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT:
            raise
        return await start(searchable=False)


def _circuit_options(circuit: str) -> dict[str, Any]:
    return {
        "id": circuit_workflow_id(circuit),
        "task_queue": MAINTENANCE_QUEUE,
        "task_timeout": WORKFLOW_TASK_TIMEOUT,
        "static_summary": f"Circuit of {circuit}",
    }


def _circuit_attributes(*, searchable: bool) -> TypedSearchAttributes:
    if not searchable:
        return TypedSearchAttributes.empty
    kind = SearchAttributeKey.for_keyword("GatewayKind")
    return TypedSearchAttributes([SearchAttributePair(kind, "circuit")])


def _job_attributes(
    kind: str, project: str, status: str, *, searchable: bool
) -> TypedSearchAttributes:
    if not searchable:
        return TypedSearchAttributes.empty
    values = {"GatewayProject": project, "GatewayKind": kind, "GatewayStatus": status}
    return TypedSearchAttributes(
        [
            SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
            for name, value in values.items()
        ]
    )
