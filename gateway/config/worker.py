"""Settings: the workers that run what is durable."""

from pydantic import BaseModel, Field


class WorkerSettings(BaseModel):
    """How much one worker process takes on."""

    worker_max_activities: int = Field(
        default=64, ge=1, description="Activities one worker runs at once, of each task queue"
    )
    worker_max_workflow_tasks: int = Field(
        default=32, ge=2, description="Workflow tasks one worker runs at once, of each task queue"
    )
    worker_pollers: int = Field(
        default=5, ge=2, description="Connections one worker waits for work with, of each kind"
    )
    worker_grace_seconds: float = Field(
        default=10.0, ge=0, description="How long running activities may go on after a stop"
    )
