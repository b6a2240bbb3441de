"""Settings: names of models, and the choice among them."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from gateway.config.addresses import HttpUrl
from gateway.config.header_texts import Key


class ModelSettings(BaseModel):
    """Names of models, and the choice among them."""

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
    embedding_api_url: HttpUrl | None = Field(
        default=None,
        description="Base URL of an OpenAI-compatible provider of embeddings, with its /v1",
    )
    embedding_api_key: Key | None = Field(
        default=None, description="Key for the provider of embeddings, when it wants one"
    )
    embedding_model: str | None = Field(
        default=None,
        description="Model of the provider for every request; the client's name when unset",
    )

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
