"""Log files: a new one for each start, bounded, and their end for error messages."""

from pathlib import Path

from gateway.stack import logs


def test_a_start_begins_a_new_file_and_keeps_three_old_ones(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    for run in range(6):
        logs.rotate(log)
        log.write_text(f"run {run}")
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {
        "api.log": "run 5",
        "api.log.1": "run 4",
        "api.log.2": "run 3",
        "api.log.3": "run 2",
    }


def test_an_empty_log_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "api.log").touch()
    logs.rotate(tmp_path / "api.log")
    assert [path.name for path in tmp_path.iterdir()] == ["api.log"]


def test_a_log_that_grew_is_moved_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100)
        logs.shorten(log, max_bytes=50)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert (tmp_path / "api.log.1").read_bytes() == b"x" * 100


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("small")
    logs.shorten(log)
    assert [path.name for path in tmp_path.iterdir()] == ["api.log"]


def test_a_log_that_is_gone_has_no_tail_and_needs_no_shortening(tmp_path: Path) -> None:
    logs.shorten(tmp_path / "none.log")
    logs.rotate(tmp_path / "none.log")
    assert logs.tail(tmp_path / "none.log") == ""


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("\n".join(str(number) for number in range(10_000)))
    assert logs.tail(log, lines=3) == "9997\n9998\n9999"
