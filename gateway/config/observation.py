"""Settings: what is shown to operators."""

from typing import Literal

from pydantic import BaseModel, Field


class ObservationSettings(BaseModel):
    """What is shown to operators."""

    prometheus_enabled: bool = Field(default=True, description="Serve GET /admin/metrics")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level of log lines"
    )
