"""Settings: Claude's API, and how long it is waited for."""

from pydantic import BaseModel, Field, SecretStr

from gateway.config.addresses import HttpUrl
from gateway.config.durations import Seconds
from gateway.config.header_texts import Keys


class UpstreamSettings(BaseModel):
    """Claude's API, and how long it is waited for."""

    anthropic_api_key: Keys | None = Field(
        default=None,
        description="Key for Claude's API, or a comma list; without one the simulator answers",
    )
    anthropic_base_url: HttpUrl = Field(
        default="https://api.anthropic.com",
        description="Any server that speaks the Messages API",
    )
    upstreams: SecretStr | None = Field(
        default=None,
        description="JSON list of several upstreams instead of ANTHROPIC_*: objects with name, "
        "base_url, api_key and, if wanted, weight, requests_per_minute, concurrent_requests",
    )
    upstream_is_simulator: bool = Field(
        default=False,
        description="ANTHROPIC_BASE_URL is the bundled simulator; `coding-gateway up` sets it",
    )
    upstream_timeout_seconds: Seconds = Field(
        default=30.0,
        gt=0,
        description="Time to the upstream's first byte; a long answer is not cut",
    )
    upstream_idle_seconds: Seconds = Field(
        default=180.0,
        gt=0,
        description="Silence of the upstream inside an answer after which it is given up",
    )
