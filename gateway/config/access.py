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
        default=None, description="When set, every request must carry it in X-Origin-Secret"
    )
    require_cf_access_headers: bool = Field(
        default=False, description="Refuse requests without the headers of Cloudflare Access"
    )
