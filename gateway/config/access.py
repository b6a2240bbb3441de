"""Settings: keys, and what every request must carry."""

from pydantic import BaseModel, Field, SecretStr

from gateway.config.header_texts import CallerKey, Key


class AccessSettings(BaseModel):
    """Keys, and what every request must carry."""

    gateway_api_key: CallerKey | None = Field(
        default=None, description="Key of the default project; `coding-gateway up` makes one"
    )
    admin_api_key: CallerKey | None = Field(
        default=None, description="Key for the admin endpoints; GATEWAY_API_KEY when unset"
    )
    encryption_keys: SecretStr | None = Field(
        default=None,
        description="Comma list of secrets that seal stored turns; the first seals, all open; "
        "`coding-gateway up` makes one",
    )
    origin_secret: Key | None = Field(
        default=None,
        description="When set, every request but probes must carry it in X-Origin-Secret; "
        "`chat` and `batch` send it",
    )
    require_cf_access_headers: bool = Field(
        default=False, description="Refuse requests without the headers of Cloudflare Access"
    )
    cf_access_client_id: Key | None = Field(
        default=None,
        description="Service token of Cloudflare Access that `chat` and `batch` send",
    )
    cf_access_client_secret: Key | None = Field(
        default=None, description="Secret of CF_ACCESS_CLIENT_ID"
    )
