"""Settings: how long things are kept."""

from pydantic import BaseModel, Field


class RetentionSettings(BaseModel):
    """How long things are kept."""

    turn_ttl_seconds: int = Field(
        default=259_200, ge=60, description="How long signed thinking is kept for its conversation"
    )
    responses_ttl_days: int = Field(
        default=30, ge=1, description="How long stored Responses are kept"
    )
