"""Keys: what surrounds them is taken off, what no header carries is refused."""

import pytest

from gateway.config import Settings, SettingsError, load_settings

SECRET = "canary-5f1d"
CALLERS = ("gateway_api_key", "admin_api_key")
KEYS = (
    *CALLERS,
    "origin_secret",
    "anthropic_api_key",
    "embedding_api_key",
    "error_export_token",
    "temporal_api_key",
)


def key(settings: Settings, name: str) -> str:
    return str(getattr(settings, name).get_secret_value())


@pytest.mark.parametrize("name", KEYS)
def test_white_space_around_a_key_is_not_part_of_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name.upper(), f" {SECRET}\r\n")
    assert key(load_settings(), name) == SECRET


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize(
    "value", [f"{SECRET}ä", f"{SECRET}\nx", f"{SECRET}\tx", f"{SECRET}\x7f", " \n", "\udcff"]
)
def test_what_no_header_carries_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name.upper(), value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert refused.value.message.startswith(f"{name.upper()}: ")
    assert "\n" not in refused.value.message
    assert SECRET not in refused.value.message


def test_a_list_of_keys_may_be_laid_out() -> None:
    settings = load_settings(anthropic_api_key=" one, \n two,\n")
    assert key(settings, "anthropic_api_key") == "one,two"
    with pytest.raises(SettingsError, match=r"^ANTHROPIC_API_KEY: blank$"):
        load_settings(anthropic_api_key=" , ")


@pytest.mark.parametrize("name", CALLERS)
def test_a_key_is_no_longer_than_what_is_read_of_requests(name: str) -> None:
    assert key(load_settings(**{name: "k" * 512}), name) == "k" * 512
    with pytest.raises(SettingsError, match=rf"^{name.upper()}: "):
        load_settings(**{name: "k" * 513})
