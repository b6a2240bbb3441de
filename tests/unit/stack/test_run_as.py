"""Which user PostgreSQL runs as, and where that user can go."""

import os
from pathlib import Path

import pytest

from gateway.stack import run_as
from gateway.stack.errors import StackError
from gateway.stack.run_as import RunAs

SOMEBODY = RunAs("somebody", 61_234, 61_234)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def open_tmp(tmp_path: Path) -> Path:
    """A directory in whose own place no step is closed: only its children decide."""
    for step in (tmp_path, *tmp_path.parents):
        if step.stat().st_uid == os.geteuid() and str(step).startswith("/tmp/"):
            step.chmod(step.stat().st_mode | 0o011)
    return tmp_path


def test_an_open_path_can_be_entered(open_tmp: Path) -> None:
    (open_tmp / "data").mkdir(mode=0o711)
    assert run_as.can_enter(open_tmp / "data", SOMEBODY)


def test_a_closed_step_anywhere_stops_another_user(open_tmp: Path) -> None:
    (open_tmp / "home").mkdir(mode=0o700)
    (open_tmp / "home" / "data").mkdir(mode=0o755)
    assert not run_as.can_enter(open_tmp / "home" / "data", SOMEBODY)


def test_a_path_that_is_not_there_yet_is_judged_by_what_is(open_tmp: Path) -> None:
    (open_tmp / "home").mkdir(mode=0o700)
    assert not run_as.can_enter(open_tmp / "home" / "new" / "data", SOMEBODY)


def test_the_group_may_open_what_others_may_not(open_tmp: Path) -> None:
    directory = open_tmp / "data"
    directory.mkdir()
    directory.chmod(0o710)
    assert run_as.can_enter(directory, RunAs("colleague", 61_234, directory.stat().st_gid))
    assert not run_as.can_enter(directory, SOMEBODY)


@pytest.mark.skipif(os.geteuid() == 0, reason="needs an ordinary user")
def test_an_ordinary_user_stays_itself(tmp_path: Path) -> None:
    assert run_as.choose(tmp_path / "data") is None


@as_root
def test_root_takes_another_user_for_a_new_cluster(tmp_path: Path) -> None:
    user = run_as.choose(tmp_path / "data")
    assert user is not None
    assert user.uid != 0


@as_root
def test_the_owner_of_a_cluster_decides(tmp_path: Path) -> None:
    cluster = tmp_path / "data"
    cluster.mkdir()
    os.chown(cluster, 61_234, 61_235)
    assert run_as.choose(cluster) == RunAs("61234", 61_234, 61_235)


@as_root
def test_a_cluster_of_root_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(StackError, match="belongs to root") as caught:
        run_as.choose(tmp_path / "data")
    assert "chown" in caught.value.mend
