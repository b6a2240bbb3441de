"""Settings: read once, wrong values named and never shown."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.config import (
    Settings,
    SettingsError,
    default_data_dir,
    env_example,
    load_settings,
    redacted,
)

SECRET = "canary-5f1d"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_are_usable() -> None:
    settings = load_settings()
    assert settings.default_model == "claude-sonnet-5-5"
    assert settings.upstream_timeout_seconds == 30
    assert settings.rate_limit_rpm == 60


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATE_LIMIT_RPM", SECRET),
        ("RATE_LIMIT_RPM", "0"),
        ("ANTHROPIC_BASE_URL", f"ftp://{SECRET}"),
        ("UNKNOWN_MODEL", SECRET),
        ("GATEWAY_NAME", f"{SECRET}\r\nX-Evil: 1"),
        ("UPSTREAM_TIMEOUT_SECONDS", "-1"),
        ("KEEP_ALIVE_SECONDS", "3600"),
        ("SHUTDOWN_GRACE_SECONDS", "1e300"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable_only(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.message.startswith(f"{name}: ")
    assert "\n" not in caught.value.message
    assert SECRET not in caught.value.message


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "Infinity", "1e999"])
@pytest.mark.parametrize(
    "name", [name for name, field in Settings.model_fields.items() if field.annotation is float]
)
def test_every_number_is_finite(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name.upper(), value)
    with pytest.raises(SettingsError, match=rf"^{name.upper()}: .*"):
        load_settings()


def test_a_number_that_only_is_not_infinite_is_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_GRACE_SECONDS", "1e300")
    with pytest.raises(SettingsError, match=r"^WORKER_GRACE_SECONDS: "):
        load_settings()


def test_a_dotenv_file_that_is_no_text_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"RATE_LIMIT_RPM=\xff\n")
    with pytest.raises(SettingsError, match=r"^\.env: cannot be read: it is not UTF-8$"):
        load_settings()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "")
    assert load_settings().anthropic_api_key is None


def test_a_dotenv_file_is_read_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("RATE_LIMIT_RPM=7\nRETRY_MAX_ATTEMPTS=2\n", "utf-8")
    monkeypatch.setenv("RETRY_MAX_ATTEMPTS", "4")
    settings = load_settings()
    assert (settings.rate_limit_rpm, settings.retry_max_attempts) == (7, 4)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().rate_limit_rpm = 1  # type: ignore[misc]


def test_no_secret_is_shown() -> None:
    settings = load_settings(
        anthropic_api_key=SECRET,
        gateway_api_key=SECRET,
        origin_secret=SECRET,
        redis_url=f"redis://user:{SECRET}@host:1/0?password={SECRET}",
        database_url=f"postgresql://user:{SECRET}@host/db",
    )
    shown = redacted(settings)
    assert SECRET not in str(shown)
    assert SECRET not in repr(settings)
    assert shown["REDIS_URL"] == "<set>"
    assert shown["ANTHROPIC_API_KEY"] == "<set>"


def test_the_example_names_every_setting_and_sets_none() -> None:
    lines = [line for line in env_example().splitlines() if line]
    assert all(line.startswith("#") for line in lines)
    for name in Settings.model_fields:
        assert any(line.startswith(f"#{name.upper()}=") for line in lines)


def test_users_keep_their_data_in_the_xdg_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert default_data_dir() == Path("/somewhere/coding-gateway")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_data_dir() == Path.home() / ".local/share/coding-gateway"


def test_root_keeps_its_data_under_var_lib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/coding-gateway")
