"""Which gateway, key and model `connect` and `chat` take."""

from pathlib import Path

import pytest

from gateway.cli.clients.target import Asked, Target, find_target
from gateway.errors import GatewayError

URL = "http://127.0.0.1:8080/v1"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # away from a developer's .env
    for name in ("GATEWAY_API_KEY", "DEFAULT_MODEL", "MODEL_PREFIX", "DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def target(base_url: str = URL, model: str | None = None) -> Target:
    return find_target(Asked(base_url, "cgw_key", model))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (URL, URL),
        (f"{URL}/", URL),
        ("http://127.0.0.1:8080", URL),
        ("https://gw.example.com/team/", "https://gw.example.com/team/v1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
    ],
)
def test_a_url_is_taken_with_and_without_its_end(given: str, expected: str) -> None:
    found = target(given)
    assert found.base_url == expected
    assert found.root_url + "/v1" == expected


@pytest.mark.parametrize(
    "given", ["8080", "ftp://host/v1", "http://", "http://h:99999", "http://h/v1?x=1", "http://h ü"]
)
def test_what_is_no_url_is_refused(given: str) -> None:
    with pytest.raises(GatewayError, match="base URL"):
        target(given)


@pytest.mark.parametrize(
    ("url", "private"),
    [
        (URL, True),
        ("http://localhost:1", True),
        ("http://192.168.1.5:1", True),
        ("http://box.local", True),
        ("https://gw.example.com", False),
        ("https://8.8.8.8", False),
    ],
)
def test_private_addresses_are_known(url: str, private: bool) -> None:
    assert target(url).is_private is private


def test_the_model_is_the_default_one_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert target().model == "claude-sonnet-5-5"
    assert not target().model_named
    monkeypatch.setenv("DEFAULT_MODEL", "claude-opus-5-5")
    assert target().model == "claude-opus-5-5"
    assert target(model="auto").serves.id == "claude-opus-5-5"
    assert target(model="MYMODEL:claude-sonnet-4-5").serves.context_tokens == 200_000


def test_a_typing_error_in_the_model_is_found_here() -> None:
    with pytest.raises(GatewayError, match="claude-sonnet-5-5"):
        target(model="claude-sonet-5-5")


def test_the_prefix_is_set_before_a_name_once() -> None:
    assert target().prefixed_model == "MYMODEL:claude-sonnet-5-5"
    assert target(model="mymodel:auto").prefixed_model == "mymodel:auto"


def test_without_a_stack_there_is_no_guess(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match="coding-gateway up"):
        find_target(Asked(data_dir=tmp_path))


def test_the_key_of_the_stack_here_is_for_no_other_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "gateway").write_text("cgw_local\n")
    other = Asked("https://gw.example.com", data_dir=tmp_path)
    with pytest.raises(GatewayError, match="--api-key"):
        find_target(other)
    monkeypatch.setenv("GATEWAY_API_KEY", "cgw_set")
    assert find_target(other).api_key == "cgw_set"


@pytest.mark.parametrize("key", ["a b", "a\nb", "schlüssel"])
def test_a_key_that_fits_no_header_is_refused(key: str) -> None:
    with pytest.raises(GatewayError, match="header"):
        find_target(Asked(URL, key))


def test_no_key_is_shown_by_accident() -> None:
    assert "cgw_key" not in repr(target())
    assert "cgw_key" not in repr(Asked(URL, "cgw_key"))
