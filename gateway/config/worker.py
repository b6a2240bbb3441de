"""Settings: the workers that run what is durable, and what batches may take."""

from pydantic import BaseModel, Field, SecretStr

from gateway.config.durations import Seconds


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
    worker_grace_seconds: Seconds = Field(
        default=10.0, ge=0, description="How long running activities may go on after a stop"
    )
    batch_parallelism: int = Field(
        default=16, ge=1, description="Items of a batch at once, where the batch does not say"
    )
    batch_limit_share: float = Field(
        default=0.5, gt=0, le=1, description="Part of a project's rate limits that batches may fill"
    )
    enable_message_batches: bool = Field(
        default=True,
        description="Let batches that are not urgent go through Claude's Message Batches, "
        "at half the price",
    )
    message_batch_items: int = Field(
        default=10_000, ge=1, le=100_000, description="The most items of one Message Batch"
    )
    message_batch_mb: int = Field(
        default=64, ge=1, le=128, description="The most megabytes of the items of one Message Batch"
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="Signs webhooks of batches (X-Gateway-Signature)"
    )
    webhook_allow_private: bool = Field(
        default=False,
        description="Let webhooks reach loopback and private addresses, not only the internet",
    )
