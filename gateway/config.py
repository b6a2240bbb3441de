"""Every setting of the gateway, read once from the environment and an optional `.env` file.

The only place that reads the environment. A wrong value stops the start with one line that names
the variable and never its value.
"""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.errors import GatewayError


class SettingsError(GatewayError):
    """A variable has a value that cannot be used; one line, without the value."""

    code = "invalid_settings"


class Settings(BaseSettings):
    """The settings, frozen. Each field is one environment variable in capitals."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        case_sensitive=False,
        hide_input_in_errors=True,
    )

    # --- upstream ---
    anthropic_api_key: SecretStr | None = Field(
        default=None, description="Key for Claude's API; without one the simulator answers"
    )
    anthropic_base_url: str = Field(
        default="https://api.anthropic.com",
        pattern=r"^https?://[^\s/]+[^\s]*$",
        description="Any server that speaks the Messages API",
    )
    upstream_is_simulator: bool = Field(
        default=False,
        description="ANTHROPIC_BASE_URL is the bundled simulator; `coding-gateway up` sets it",
    )
    upstream_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        description="Time to the upstream's first byte; a long answer is not cut",
    )
    upstream_idle_seconds: float = Field(
        default=180.0,
        gt=0,
        description="Silence of the upstream inside an answer after which it is given up",
    )

    # --- keys ---
    gateway_api_key: SecretStr | None = Field(
        default=None, description="Key of the default project; `coding-gateway up` makes one"
    )
    admin_api_key: SecretStr | None = Field(
        default=None, description="Key for the admin endpoints; GATEWAY_API_KEY when unset"
    )
    encryption_keys: SecretStr | None = Field(
        default=None,
        description="Comma list of secrets that seal stored turns; the first seals, all open; "
        "`coding-gateway up` makes one",
    )
    origin_secret: SecretStr | None = Field(
        default=None, description="When set, every request must carry it in X-Origin-Secret"
    )
    require_cf_access_headers: bool = Field(
        default=False, description="Refuse requests without the headers of Cloudflare Access"
    )

    # --- parts ---
    redis_url: SecretStr | None = Field(
        default=None, description="Valkey or Redis; embedded when unset"
    )
    database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL with pgvector; embedded when unset"
    )
    temporal_address: str | None = Field(
        default=None, description="Temporal server, host:port; embedded when unset"
    )
    temporal_namespace: str = Field(default="default", description="Temporal namespace")
    temporal_api_key: SecretStr | None = Field(
        default=None, description="Key for Temporal Cloud; switches TLS on"
    )
    temporal_ui_url: str | None = Field(
        default=None, description="Address of the Temporal UI, shown by `up` and `status`"
    )
    data_dir: Path | None = Field(
        default=None,
        description="Where journal, keys and embedded servers live; "
        "the XDG data directory, as root /var/lib/coding-gateway",
    )

    # --- names and models ---
    gateway_name: str = Field(
        default="coding-gateway", pattern=r"^[\x21-\x7e]+$", description="Value of X-Gateway"
    )
    default_model: str = Field(
        default="claude-sonnet-5-5", description="Model for names that route"
    )
    model_prefix: str = Field(
        default="MYMODEL:",
        pattern=r"^[\x21-\x7e]+$",
        description="Prefix that keeps clients from hijacking Claude names; stripped",
    )
    unknown_model: Literal["route", "reject"] = Field(
        default="route", description="What a name nobody knows does: route, or reject (404)"
    )
    models_file: Path | None = Field(
        default=None, description="TOML file laid over the packaged model table and prices"
    )
    thinking_reserve_tokens: int = Field(
        default=4096,
        ge=0,
        description="Added to a client's small max_tokens on models that always think; 0 = off",
    )
    show_reasoning: bool = Field(
        default=True, description="Ask for thinking summaries and return them as reasoning"
    )

    enable_fast_mode: bool = Field(
        default=False,
        description="Let `service_tier: fast` mean fast mode where it exists, at twice the price",
    )

    small_model: str = Field(
        default="claude-haiku-5-5",
        description="Model of short calls that name none: POST /v1/completions",
    )
    embedding_api_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/]+[^\s]*$",
        description="Base URL of an OpenAI-compatible provider of embeddings, with its /v1",
    )
    embedding_api_key: SecretStr | None = Field(
        default=None, description="Key for the provider of embeddings, when it wants one"
    )
    embedding_model: str | None = Field(
        default=None,
        description="Model of the provider for every request; the client's name when unset",
    )

    # --- routing ---
    opus_model: str = Field(
        default="claude-opus-5-5", description="Model of demanding work, for names that route"
    )
    enable_smart_routing: bool = Field(
        default=True,
        description="Score what is asked and learn from outcomes; 0 = by keywords only",
    )
    opus_routing_threshold: float = Field(
        default=0.5, ge=0, le=1, description="Score from which OPUS_MODEL is chosen"
    )

    # --- fewer tokens to pay for ---
    enable_anthropic_cache_control: bool = Field(
        default=True, description="Set prompt cache marks where the next turn can read them"
    )
    client_cache_marks: Literal["add", "keep", "replace"] = Field(
        default="add",
        description="A client's own marks: add to them, keep only them, or replace them",
    )
    cache_lifetime: Literal["auto", "5m", "1h"] = Field(
        default="auto", description="Lifetime of the marks; auto: what is expected to be cheaper"
    )
    move_volatile_lines: bool = Field(
        default=True,
        description="Send system lines that change each turn, such as clocks, behind the history",
    )
    enable_file_hash_cache: bool = Field(
        default=True, description="Send repeated text as a reference to its earlier copy"
    )
    file_hash_cache_ttl: int = Field(
        default=3600,
        ge=60,
        description="Seconds that what was sent of a conversation is remembered",
    )
    references_chat: Literal["off", "whole", "runs"] = Field(
        default="runs",
        description="Chats without tools: no references, of identical texts, or of runs of lines",
    )
    references_agent: Literal["off", "whole", "runs"] = Field(
        default="whole", description="The same for conversations with tools"
    )
    system_max_chars: int = Field(
        default=40_000, ge=0, description="A longer system text loses its middle; 0 = off"
    )
    user_msg_max_chars: int = Field(
        default=120_000, ge=0, description="A longer text of the user loses its middle; 0 = off"
    )
    tool_result_max_chars: int = Field(
        default=20_000,
        ge=0,
        description="A longer tool result, file reads excepted, loses its middle; 0 = off",
    )
    tool_kinds_file: Path | None = Field(
        default=None, description="TOML file laid over the packaged list of tools that read files"
    )
    strip_ide_boilerplate: bool = Field(
        default=True, description="Leave out instruction blocks that IDEs are known to repeat"
    )
    boilerplate_file: Path | None = Field(
        default=None, description="TOML file laid over the packaged list of such blocks"
    )
    enforce_diff_first: bool = Field(
        default=True,
        description="Ask for diffs instead of whole files where the client has no edit tools",
    )
    enable_cold_compaction: bool = Field(
        default=False, description="Shorten old tool results when the prompt cache has expired"
    )
    enable_context_pruning: bool = Field(
        default=False, description="Cut long conversations in rare big steps, with a summary"
    )
    context_max_tokens: int = Field(
        default=100_000, ge=8_000, description="Tokens at which a conversation is cut"
    )
    context_strategy: Literal["extract", "model", "anthropic_clear", "anthropic_compact"] = Field(
        default="extract",
        description="Who shortens: quoted extracts, SMALL_MODEL, or the API's own context editing "
        "or compaction where the model has it",
    )
    enable_append_log: bool = Field(
        default=False,
        description="For clients that rewrite their history: send what is new behind what was sent",
    )
    enable_messages_reduction: bool = Field(
        default=False,
        description="Set cache marks on requests to /v1/messages too; 0 = byte for byte",
    )
    reduction_holdout: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of conversations that go untouched, to prove the saving",
    )
    bench_clock: bool = Field(
        default=False, description="Take the time of pauses from the header x-bench-time; for tests"
    )
    response_cache: Literal["off", "deterministic", "all"] = Field(
        default="deterministic",
        description="Answers kept for identical requests: none, of temperature 0, or all of text",
    )
    cache_ttl_seconds: int = Field(
        default=1800, ge=1, description="Seconds that answers are kept for identical requests"
    )
    semantic_cache_threshold: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Similarity from which a chat without tools gets a kept answer; 0 = off",
    )

    # --- what is kept ---
    turn_ttl_seconds: int = Field(
        default=259_200, ge=60, description="How long signed thinking is kept for its conversation"
    )
    responses_ttl_days: int = Field(
        default=30, ge=1, description="How long stored Responses are kept"
    )

    # --- limits and reliability ---
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

    # --- observation ---
    prometheus_enabled: bool = Field(default=True, description="Serve GET /admin/metrics")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level of log lines"
    )


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process. Raises SettingsError, one line, naming the variable."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        variable = str(first["loc"][0]).upper() if first["loc"] else "settings"
        raise SettingsError(f"{variable}: {first['msg']}") from None


def inherited_environment() -> dict[str, str]:
    """A copy of this process's environment, to start child processes with."""
    return dict(os.environ)


def default_data_dir() -> Path:
    """Where data goes when DATA_DIR is unset: the XDG data directory, for root under /var/lib."""
    if os.geteuid() == 0:
        return Path("/var/lib/coding-gateway")
    xdg = os.environ.get("XDG_DATA_HOME", "")
    base = Path(xdg) if xdg.startswith("/") else Path.home() / ".local" / "share"
    return base / "coding-gateway"


def env_example() -> str:
    """The text of `.env.example`: every variable, its default and what it does."""
    lines = ["# Every setting with its default. Copy to .env and uncomment what you change.", ""]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else _as_env(field.default)
        lines += [f"# {field.description}", f"#{name.upper()}={default}", ""]
    return "\n".join(lines)


def _as_env(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def secret_values(settings: Settings) -> list[str]:
    """Every secret in the settings, for the log to leave out wherever it turns up."""
    values = (getattr(settings, name) for name in Settings.model_fields)
    return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]


def redacted(settings: Settings) -> dict[str, Any]:
    """The effective settings with every secret and every credential in a URL hidden."""
    shown: dict[str, Any] = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            shown[name.upper()] = "<set>"
        elif isinstance(value, str) and "://" in value:
            shown[name.upper()] = _without_credentials(value)
        else:
            shown[name.upper()] = str(value) if isinstance(value, Path) else value
    return shown


def _without_credentials(url: str) -> str:
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2]
    return f"{scheme}://{host}{slash}{path.partition('?')[0]}"
