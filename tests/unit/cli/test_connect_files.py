"""Files on disk: backups, modes, links, and what is refused."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.cli.clients.files import ConfigFile, Syntax, plan, write
from gateway.cli.clients.tree import EditError

NOW = datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)


def file(path: Path, *, secret: bool = True, syntax: Syntax = "json") -> ConfigFile:
    return ConfigFile(path, syntax, {"a": {"k": 1}}, secret=secret)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def written(wanted: ConfigFile) -> Path | None:
    change = plan(wanted)
    assert change is not None
    return write(change, NOW)


def test_a_new_file_and_its_directories_are_private(tmp_path: Path) -> None:
    path = tmp_path / "one" / "two" / "c.json"
    assert written(file(path)) is None
    assert mode(path) == 0o600
    assert mode(path.parent) == mode(path.parent.parent) == 0o700
    assert plan(file(path)) is None


def test_the_file_before_is_kept_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"x": 1}')
    backup = written(file(path))
    assert backup is not None
    assert backup.name == "c.json.20261122T120001.000000Z.bak"
    assert backup.read_text() == '{"x": 1}'
    assert mode(backup) == 0o600
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize(("secret", "after"), [(True, 0o600), (False, 0o664)])
def test_a_file_that_gets_a_key_becomes_private(tmp_path: Path, secret: bool, after: int) -> None:
    path = tmp_path / "c.json"
    path.write_text("{}")
    path.chmod(0o664)
    written(file(path, secret=secret))
    assert mode(path) == after


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles.json", tmp_path / "c.json"
    real.write_text("{}")
    link.symlink_to(real)
    written(file(link))
    assert link.is_symlink()
    assert '"k": 1' in real.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_file_stays_theirs(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text("{}")
    os.chown(path, 12345, 12346)
    backup = written(file(path))
    assert backup is not None
    for each in (path, backup):
        assert (each.stat().st_uid, each.stat().st_gid) == (12345, 12346)


def test_line_ends_and_byte_order_mark_stay(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(b'\xef\xbb\xbf{\r\n  "x": 1\r\n}\r\n')
    written(file(path))
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf{\r\n")
    assert content.count(b"\n") == content.count(b"\r\n") == 6
    assert plan(file(path)) is None


@pytest.mark.parametrize(
    ("content", "syntax", "why"),
    [
        (b'{"x": \n', "json", "line 2: a value"),
        (b'{"a": [1]}', "json", "`a` holds something else"),
        (b"\xff\xfe", "json", "UTF-8"),
        (b"a = [\n", "toml", "line"),
        (b"a: [1]\n", "yaml", "`a` holds something else"),
        (b"{x: 1}\n", "yaml", "line 1: .*braces"),
        # The same object stands in two places: a change of one would be a change of both.
        (b"x: &same\n  k: 2\na: *same\n", "yaml", "edited safely"),
    ],
)
def test_what_cannot_be_changed_safely_is_left_alone(
    tmp_path: Path, content: bytes, syntax: Syntax, why: str
) -> None:
    path = tmp_path / "c"
    path.write_bytes(content)
    with pytest.raises(EditError, match=why) as refused:
        plan(file(path, syntax=syntax))
    assert str(path) in str(refused.value)
    assert "nothing was written" in str(refused.value)
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["c"]


def test_a_directory_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EditError, match="cannot be changed"):
        plan(file(tmp_path))


def test_a_change_by_somebody_else_in_between_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text("{}")
    change = plan(file(path))
    assert change is not None
    path.write_text('{"theirs": 1}')
    with pytest.raises(EditError, match="somebody else"):
        write(change, NOW)
    assert path.read_text() == '{"theirs": 1}'
