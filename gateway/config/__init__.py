"""Every setting of the gateway, read once from the environment and an optional `.env` file."""

from gateway.config.settings import (
    Settings,
    SettingsError,
    default_data_dir,
    env_example,
    inherited_environment,
    load_settings,
    redacted,
    secret_values,
)

__all__ = [
    "Settings",
    "SettingsError",
    "default_data_dir",
    "env_example",
    "inherited_environment",
    "load_settings",
    "redacted",
    "secret_values",
]
