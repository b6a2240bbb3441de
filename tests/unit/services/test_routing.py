"""The router as the settings want it."""

import pytest

from gateway.catalog.models import load_catalog
from gateway.config import Settings, SettingsError
from gateway.services.from_settings import names_of
from gateway.services.routing import router_of


def settings(**values: str) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[arg-type] # a test's shorthand


def test_the_heavy_model_is_the_settings() -> None:
    wanted = settings(opus_model="claude-opus-5")
    assert router_of(wanted, names_of(wanted, load_catalog())).heavy.id == "claude-opus-5"
    retired = settings(opus_model="claude-opus-4-1")
    assert router_of(retired, names_of(retired, load_catalog())).heavy.id == "claude-opus-5-5"


def test_a_model_nobody_knows_is_refused() -> None:
    wrong = settings(opus_model="claude-opus-99")
    with pytest.raises(SettingsError, match="OPUS_MODEL"):
        router_of(wrong, names_of(wrong, load_catalog()))
