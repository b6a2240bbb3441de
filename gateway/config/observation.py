"""Settings: what is shown to operators."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from gateway.config.addresses import HttpUrl
from gateway.config.header_texts import Key


class ObservationSettings(BaseModel):
    """What is shown to operators."""

    prometheus_enabled: bool = Field(default=True, description="Serve GET /admin/metrics")
    error_events_days: int = Field(
        default=30, ge=1, description="How long errors are kept for GET /admin/errors"
    )
    error_export_file: Path | None = Field(
        default=None, description="Append every error event to this file as a JSON line"
    )
    error_export_url: HttpUrl | None = Field(
        default=None,
        description="Post error events there, as JSON lines",
    )
    error_export_token: Key | None = Field(
        default=None, description="Bearer token for ERROR_EXPORT_URL, when it wants one"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level of log lines"
    )
