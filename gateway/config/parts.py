"""Settings: where the servers beside the gateway are."""

from pathlib import Path

from pydantic import BaseModel, Field

from gateway.config.addresses import DatabaseUrl, HostAndPort, ValkeyUrl
from gateway.config.header_texts import Key


class PartsSettings(BaseModel):
    """Where the servers beside the gateway are."""

    redis_url: ValkeyUrl | None = Field(
        default=None, description="Valkey or Redis; embedded when unset"
    )
    database_url: DatabaseUrl | None = Field(
        default=None, description="PostgreSQL with pgvector; embedded when unset"
    )
    temporal_address: HostAndPort | None = Field(
        default=None, description="Temporal server, host:port; embedded when unset"
    )
    temporal_namespace: str = Field(default="default", description="Temporal namespace")
    temporal_api_key: Key | None = Field(
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
