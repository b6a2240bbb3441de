"""The data directory: modes, lock, atomic files."""

import os
import stat
from pathlib import Path

import pytest

from gateway.stack.data_directory import DataDirectory, write_atomically
from gateway.stack.errors import StackError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_it_holds_is_closed_to_others(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "new" / "data")
    data.prepare()
    private = (data.keys, data.logs, data.run, data.valkey, data.temporal)
    assert {mode(path) for path in private} == {0o700}
    # Root lets PostgreSQL's user pass through, and nobody list it.
    assert mode(data.root) == (0o711 if os.geteuid() == 0 else 0o700)


def test_a_directory_that_holds_other_things_keeps_its_mode(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o750)
    (home / "letter.txt").write_text("dear")
    DataDirectory(home).prepare()
    assert mode(home) == 0o750


def test_it_can_be_prepared_again(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "data")
    data.prepare()
    (data.keys / "gateway").write_text("cgw_x")
    data.prepare()
    assert (data.keys / "gateway").read_text() == "cgw_x"


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="cannot be used") as caught:
        DataDirectory(tmp_path / "file" / "data").prepare()
    assert "--data-dir" in caught.value.mend


def test_a_second_holder_is_refused_and_the_next_one_let_in(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "data")
    data.prepare()
    assert not data.is_held()
    with data.hold():
        assert data.is_held()
        with pytest.raises(StackError, match="already runs"), data.hold():
            pass
    with data.hold():
        assert data.is_held()


def test_a_directory_that_was_never_used_is_not_held(tmp_path: Path) -> None:
    assert not DataDirectory(tmp_path / "nowhere").is_held()


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_link_planted_in_the_way_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f".file.{os.getpid()}").symlink_to(victim)
    write_atomically(tmp_path / "file", b"new")
    assert victim.read_text() == "mine"
