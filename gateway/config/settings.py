"""Every setting of the gateway, read once from the environment and an optional `.env` file.

The only place that reads the environment. A wrong value stops the start with one line that names
the variable and never its value.
"""

import os
import re
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.config.access import AccessSettings
from gateway.config.batches import BatchSettings
from gateway.config.models import ModelSettings
from gateway.config.observation import ObservationSettings
from gateway.config.parts import PartsSettings
from gateway.config.reduction import ReductionSettings
from gateway.config.reliability import ReliabilitySettings
from gateway.config.retention import RetentionSettings
from gateway.config.upstream import UpstreamSettings
from gateway.config.worker import WorkerSettings
from gateway.errors import GatewayError

_API_KEY = re.compile(r'"api_key"\s*:\s*"([^"]+)"')


class SettingsError(GatewayError):
    """A variable has a value that cannot be used; one line, without the value."""

    code = "invalid_settings"


class Settings(
    WorkerSettings,
    BatchSettings,
    ObservationSettings,
    ReliabilitySettings,
    RetentionSettings,
    ReductionSettings,
    ModelSettings,
    PartsSettings,
    AccessSettings,
    UpstreamSettings,
    BaseSettings,
):
    """The settings, frozen. Each field is one environment variable in capitals.

    Fields come in the order of the groups, the last one named first.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        case_sensitive=False,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process. Raises SettingsError, one line, naming the variable."""
    try:
        return Settings(**overrides)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f".env: cannot be read: {reason}") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        variable = str(first["loc"][0]).upper() if first["loc"] else "settings"
        raise SettingsError(f"{variable}: {first['msg'].removeprefix('Value error, ')}") from None


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
    secrets = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    # Several keys in one value: each of them is a secret.
    keys = settings.anthropic_api_key.get_secret_value() if settings.anthropic_api_key else ""
    upstreams = settings.upstreams.get_secret_value() if settings.upstreams else ""
    inside = [*keys.split(","), *_API_KEY.findall(upstreams)]
    return [*secrets, *(key.strip() for key in inside if key.strip())]


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
