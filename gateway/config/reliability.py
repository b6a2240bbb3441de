"""Settings: limits, retries, breakers and connections."""

from typing import Literal

from pydantic import BaseModel, Field

from gateway.config.durations import Seconds


class ReliabilitySettings(BaseModel):
    """Limits, retries, breakers and connections."""

    rate_limit_enabled: bool = Field(
        default=True, description="Limit requests, tokens and requests at once; budgets always hold"
    )
    rate_limit_rpm: int = Field(default=60, ge=1, description="Requests per minute and project")
    rate_limit_tpm: int = Field(
        default=0, ge=0, description="Tokens per minute and project, in and out; 0 = no limit"
    )
    max_concurrent_requests: int = Field(
        default=0, ge=0, description="Requests and streams of a project at once; 0 = no limit"
    )
    budget_day_usd: float = Field(
        default=0.0, ge=0, description="US dollars a project may spend in a UTC day; 0 = no limit"
    )
    budget_month_usd: float = Field(default=0.0, ge=0, description="The same for a UTC month")
    circuit_breaker_enabled: bool = Field(
        default=True, description="Stop asking an upstream that keeps failing"
    )
    circuit_breaker_threshold: int = Field(
        default=5, ge=1, description="Failures in a row that open the breaker"
    )
    circuit_breaker_timeout: Seconds = Field(
        default=60.0, gt=0, description="Seconds until an open breaker lets one probe through"
    )
    circuit_half_open_requests: int = Field(
        default=1, ge=1, description="Requests let through at once while a breaker is half-open"
    )
    circuit_probe: Literal["models", "off"] = Field(
        default="models",
        description="What is asked before a breaker lets requests through: the list of models, "
        "or nothing",
    )
    retry_enabled: bool = Field(default=True, description="Try again before the first content byte")
    retry_max_attempts: int = Field(default=3, ge=1, description="Attempts for one request")
    retry_backoff_base: Seconds = Field(
        default=1.0,
        ge=0,
        description="Seconds; the random wait after attempt n is up to base * 2^(n-1)",
    )
    retry_deadline_seconds: Seconds = Field(
        default=60.0, gt=0, description="No retry begins later than this after the first attempt"
    )
    retry_budget_ratio: float = Field(
        default=0.2,
        ge=0,
        description="Share of an upstream's requests that may be retries, beyond a few a second",
    )
    model_fallbacks: str = Field(
        default="",
        description="What to ask when a model cannot be had, as "
        "claude-opus-5-5>claude-sonnet-5-5; empty = report the error",
    )
    hedge_after_seconds: Seconds = Field(
        default=0.0,
        ge=0,
        description="Ask a second time when an answer has not begun by then; 0 = never",
    )
    api_processes: int = Field(
        default=1,
        ge=1,
        description="API processes behind one port; limits are shared out when Valkey is down",
    )
    shutdown_grace_seconds: Seconds = Field(
        default=30.0, gt=0, description="How long open answers may go on after a stop was asked for"
    )
    client_stall_seconds: Seconds = Field(
        default=300.0, gt=0, description="A client that takes nothing for so long is given up"
    )
    max_body_bytes: int = Field(
        default=32_000_000, ge=1024, description="Largest request body; Claude takes 32 MB"
    )
    keep_alive_seconds: float = Field(
        default=12.0, gt=0, le=15, description="A silent stream gets a comment this often"
    )
