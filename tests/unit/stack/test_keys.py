"""Generated keys: made once, kept, readable by their owner only."""

import re
import stat
from pathlib import Path

import pytest

from gateway.config import Settings
from gateway.stack.data_directory import DataDirectory
from gateway.stack.keys import kept_secret, load_keys


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    return directory


def settings(**values: str) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[arg-type]


def test_keys_are_made_once_and_kept(data: DataDirectory) -> None:
    first = load_keys(data, settings())
    assert load_keys(data, settings()) == first
    assert re.fullmatch(r"cgw_[A-Za-z0-9]{43}", first.gateway)
    assert re.fullmatch(r"cgw_[A-Za-z0-9]{43}", first.admin)
    assert len({first.gateway, first.admin, first.postgres, first.valkey}) == 4


def test_key_files_are_for_their_owner_only(data: DataDirectory) -> None:
    load_keys(data, settings())
    modes = {stat.S_IMODE(path.stat().st_mode) for path in data.keys.iterdir()}
    assert modes == {0o600}


def test_a_key_file_that_was_opened_up_is_closed_again(data: DataDirectory) -> None:
    load_keys(data, settings())
    (data.keys / "gateway").chmod(0o644)
    load_keys(data, settings())
    assert stat.S_IMODE((data.keys / "gateway").stat().st_mode) == 0o600


def test_keys_of_the_settings_win_and_are_not_written(data: DataDirectory) -> None:
    given = {"gateway_api_key": "mine", "admin_api_key": "hers", "encryption_keys": "ours"}
    keys = load_keys(data, settings(**given))
    assert (keys.gateway, keys.admin, keys.encryption) == ("mine", "hers", "ours")
    assert sorted(path.name for path in data.keys.iterdir()) == ["postgres", "valkey"]


def test_the_gateway_key_of_the_settings_is_the_admin_key_too(data: DataDirectory) -> None:
    assert load_keys(data, settings(gateway_api_key="mine")).admin == "mine"


def test_an_empty_key_file_is_filled(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("")
    assert kept_secret(tmp_path / "key", "cgw_").startswith("cgw_")


def test_keys_do_not_show_when_printed(data: DataDirectory) -> None:
    keys = load_keys(data, settings())
    assert keys.gateway not in repr(keys)
    assert keys.postgres not in repr(keys)
