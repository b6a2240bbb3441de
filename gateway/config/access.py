"""Settings: keys, and what every request must carry."""

from pydantic import BaseModel, Field, SecretStr


class AccessSettings(BaseModel):
    """Keys, and what every request must carry."""

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
        default=None,
        description="When set, every request but probes must carry it in X-Origin-Secret; "
        "`chat` and `batch` send it",
    )
    require_cf_access_headers: bool = Field(
        default=False, description="Refuse requests without the headers of Cloudflare Access"
    )
    cf_access_client_id: SecretStr | None = Field(
        default=None,
        description="Service token of Cloudflare Access that `chat` and `batch` send",
    )
    cf_access_client_secret: SecretStr | None = Field(
        default=None, description="Secret of CF_ACCESS_CLIENT_ID"
    )
