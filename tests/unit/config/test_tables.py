"""Files that settings name: what is wrong with them is told without their names."""

from pathlib import Path

import pytest

from gateway.config.tables import read_table


def test_a_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.toml"
    path.write_text('name = "ä"', "utf-8")
    assert read_table(path) == {"name": "ä"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"name = \xff", "it is not UTF-8"),
        (b"name =", r"Invalid value \(at end of document\)"),
    ],
)
def test_what_is_wrong_is_told_without_the_path(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "secret.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^cannot be read: {reason}$"):
        read_table(path)


def test_a_directory_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^cannot be read: Is a directory$"):
        read_table(tmp_path)
