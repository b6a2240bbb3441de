"""Settings: batches and files."""

from pydantic import BaseModel, Field


class BatchSettings(BaseModel):
    """Batches and files."""

    enable_batch_api: bool = Field(
        default=True, description="Serve batches and files: /v1/batch, /v1/batches, /v1/files"
    )
