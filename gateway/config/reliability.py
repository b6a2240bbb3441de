"""Settings: limits, retries, breakers and connections."""

from pydantic import BaseModel, Field


class ReliabilitySettings(BaseModel):
    """Limits, retries, breakers and connections."""

    rate_limit_enabled: bool = Field(default=True, description="Count requests per minute")
    rate_limit_rpm: int = Field(default=60, ge=1, description="Requests per minute and project")
    circuit_breaker_enabled: bool = Field(
        default=True, description="Stop asking an upstream that keeps failing"
    )
    circuit_breaker_threshold: int = Field(
        default=5, ge=1, description="Failures in a row that open the breaker"
    )
    circuit_breaker_timeout: float = Field(
        default=60.0, gt=0, description="Seconds until an open breaker lets one probe through"
    )
    retry_enabled: bool = Field(default=True, description="Try again before the first content byte")
    retry_max_attempts: int = Field(default=3, ge=1, description="Attempts for one request")
    retry_backoff_base: float = Field(
        default=1.0,
        ge=0,
        description="Seconds; the random wait after attempt n is up to base * 2^(n-1)",
    )
    api_processes: int = Field(
        default=1,
        ge=1,
        description="API processes behind one port; limits are shared out when Valkey is down",
    )
    max_body_bytes: int = Field(
        default=32_000_000, ge=1024, description="Largest request body; Claude takes 32 MB"
    )
    keep_alive_seconds: float = Field(
        default=12.0, gt=0, le=15, description="A silent stream gets a comment this often"
    )
