"""Recorded sessions from files: formats told apart by content, broken lines reported."""

import gzip
from pathlib import Path

import pytest

from gateway import wire
from gateway.savings.neutral_format import neutral_lines
from gateway.savings.session import RecordedUsage, SessionError
from gateway.savings.sessions import read_all, read_file
from tests.unit.savings.bodies import session

USER = {"role": "user", "content": "hello"}
ANSWER = {"role": "assistant", "content": "hi"}
NEUTRAL = [
    {"session": {"id": "one", "kind": "chat", "client": "c", "scaffold": "made up"}},
    {"tools": [{"type": "function", "function": {"name": "read"}}]},
    {"m": 0, "message": {"role": "system", "content": "s"}},
    {"m": 1, "message": USER},
    {"m": 2, "message": ANSWER},
    {"m": 3, "message": {"role": "user", "content": "more"}},
    {"r": 0, "t": 0.0, "messages": [[0, 2]], "response": 2},
    {"r": 1, "t": 7.5, "messages": [[0, 1], [1, 4]], "response": None},
]


def lines(*values: object) -> bytes:
    return b"".join(wire.dumps(value) + b"\n" for value in values)


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_the_neutral_format_plain_and_compressed(tmp_path: Path, packed: bool) -> None:
    data = lines(*NEUTRAL)
    file = write(tmp_path / "x.bin", gzip.compress(data) if packed else data)
    reading = read_file(file)
    assert reading.problems == []
    (read,) = reading.sessions
    assert (read.id, read.kind, read.client, read.notes) == ("one", "chat", "c", ["made up"])
    first, second = read.requests
    assert first.body["messages"] == [{"role": "system", "content": "s"}, USER]
    assert first.body["tools"] == [{"type": "function", "function": {"name": "read"}}]
    assert first.answer == ANSWER
    assert second.seconds == 7.5
    assert [each["content"] for each in second.body["messages"]] == ["s", "hello", "hi", "more"]
    assert second.answer is None


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    both = [session("a", "b", "c"), session("x", "a", name="s2", kind="other")]
    file = write(
        tmp_path / "e.jsonl", b"".join(line for each in both for line in neutral_lines(each))
    )
    read = read_file(file).sessions
    for old, new in zip(both, read, strict=True):
        assert (old.id, old.kind, old.client) == (new.id, new.kind, new.client)
        assert [(r.seconds, r.body["messages"], r.answer) for r in old.requests] == [
            (r.seconds, r.body["messages"], r.answer) for r in new.requests
        ]


def test_what_was_billed_is_read_where_it_is_told(tmp_path: Path) -> None:
    head = {"session": {"id": "one", "usage": [[5, 100, 20, 7]]}}
    (read,) = read_file(write(tmp_path / "u.jsonl", lines(head, *NEUTRAL[1:]))).sessions
    assert [each.usage for each in read.requests] == [RecordedUsage(5, 100, 20), None]


def test_each_message_is_written_once() -> None:
    written = [wire.loads(line) for line in neutral_lines(session("a", "b", "c"))]
    assert sum("m" in line for line in written) == 6  # 3 texts and 3 answers
    assert written[-1]["messages"] == [[0, 5]]


def test_broken_lines_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    broken = [
        *NEUTRAL[:6],
        {"m": 4, "message": "no object"},
        {"what": "is this"},
        {"r": 0, "t": 0.0, "messages": [[0, 99]], "response": 2},
        {"r": 1, "t": "soon", "messages": [[0, 2]], "response": 2},
        NEUTRAL[6],
    ]
    data = lines(*broken) + b'{"r": 3, \n[1]\n\xff\xfe\n'
    file = write(tmp_path / "x.jsonl", data)
    reading = read_file(file)
    assert [len(each.requests) for each in reading.sessions] == [1]
    assert sorted(problem.line or 0 for problem in reading.problems) == [7, 8, 9, 10, 12, 13, 14]
    assert all(str(problem).startswith(f"{file}:") for problem in reading.problems)


def test_a_cut_archive_gives_what_stands_before_the_cut(tmp_path: Path) -> None:
    many = [{"m": n, "message": {"role": "user", "content": f"{n} " * 50}} for n in range(4, 900)]
    packed = gzip.compress(lines(NEUTRAL[0], *NEUTRAL[2:7], *many, compresslevel_marker()))
    file = write(tmp_path / "x.jsonl.gz", packed[: len(packed) - 40])
    reading = read_file(file)
    assert any("compressed" in problem.message for problem in reading.problems)
    assert len(reading.sessions[0].requests) == 1


def compresslevel_marker() -> dict[str, object]:
    return {"r": 9, "t": 1.0, "messages": [[0, 2]], "response": None}


def test_a_folder_is_walked_and_other_files_in_it_do_not_matter(tmp_path: Path) -> None:
    write(tmp_path / "a" / "one.jsonl", lines(*NEUTRAL))
    write(tmp_path / "a" / "b" / "two.jsonl.gz", gzip.compress(lines(*NEUTRAL[:1], *NEUTRAL[2:])))
    write(tmp_path / "package.json", b'{"name": "x", "version": 1}')
    write(tmp_path / "notes.jsonl", lines({"a": 1}, {"b": 2}))
    write(tmp_path / "one.txt", lines(*NEUTRAL))
    read = read_all([tmp_path])
    assert [each.id for each in read.sessions] == ["one"]  # two records of one conversation
    assert read.problems == []


def test_of_two_records_the_longer_counts(tmp_path: Path) -> None:
    write(tmp_path / "1.jsonl", lines(*NEUTRAL))
    write(tmp_path / "2.jsonl", lines(*NEUTRAL[:7]))
    (read,) = read_all([tmp_path]).sessions
    assert len(read.requests) == 2


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("missing.jsonl", None, "no such file"),
        ("empty.jsonl", b"", "no recorded session"),
        ("list.json", b"[1, 2]", "no recorded session"),
        ("text.jsonl", b"hello\n", "no recorded session"),
        ("picture.json", bytes(range(256)), "no recorded session"),
        ("bare.jsonl", lines(NEUTRAL[0]), "has no request"),
    ],
)
def test_a_wrong_file_is_an_error_with_its_path(
    tmp_path: Path, name: str, data: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(SessionError, match=words) as raised:
        read_all([path])
    assert str(path) in str(raised.value)


def test_an_empty_folder_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"holds no recorded sessions") as raised:
        read_all([tmp_path])
    assert str(tmp_path) in str(raised.value)
