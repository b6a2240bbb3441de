"""Conversations made by rule: the same every time, with and without a history, and legal."""

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.savings_sessions import made_sessions
from bench.savings_stories import changes, find_stories
from gateway.protocols.chat_dialects import translate

GIT = shutil.which("git")
PART = 'def name_{n}(value: int) -> int:\n    """Gives something."""\n' + "    value += 1\n" * 40


def source(parts: int, words: str = "") -> str:
    return f'"""A module. {words}"""\n\n\n' + "\n\n".join(PART.format(n=n) for n in range(parts))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository without its history, as in a source archive."""
    for number in range(12):
        path = tmp_path / "gateway" / f"module_{number:02d}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source(6 + number))
    (tmp_path / "gateway" / "small.py").write_text("x = 1\n")
    return tmp_path


def test_without_a_history_files_grow_part_by_part(tree: Path) -> None:
    stories = find_stories(tree, 5)
    assert [story.path for story in stories] == [
        f"gateway/module_{number:02d}.py" for number in (11, 10, 9, 8, 7)
    ]
    for story in stories:
        assert story.versions[-1] == (tree / story.path).read_text()
        assert len(story.wishes) == len(story.versions) - 1 >= 3
        for before, after, wish in zip(
            story.versions, story.versions[1:], story.wishes, strict=False
        ):
            assert after.startswith(before)
            assert wish.startswith("Add `name_")


def git(root: Path, *arguments: str) -> None:
    assert GIT is not None
    settings = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run([GIT, "-C", str(root), *settings, *arguments], check=True, capture_output=True)


@pytest.mark.skipif(GIT is None, reason="git is not installed")
def test_a_history_tells_its_own_stories_first(tree: Path) -> None:
    git(tree, "init", "-q")
    path = tree / "gateway" / "module_00.py"
    texts = [source(6, words) for words in ("one", "two", "three", "four")]
    for number, text in enumerate(texts):
        path.write_text(text)
        git(tree, "add", "-A")
        git(tree, "commit", "-q", "-m", f"Make it version {number}")
    story, other = find_stories(tree, 2)
    assert story.path == "gateway/module_00.py"
    assert story.versions == texts
    assert story.wishes == [f"Make it version {number}" for number in (1, 2, 3)]
    assert other.path == "gateway/module_11.py"


def test_the_same_tree_gives_the_same_conversations(tree: Path) -> None:
    assert made_sessions(tree) == made_sessions(tree)


def test_there_are_two_of_each_kind_and_all_of_them_translate(tree: Path) -> None:
    sessions = made_sessions(tree)
    assert [session.kind for session in sessions] == [
        kind for kind in ("whole-file chat", "rebuilt chat", "agent") for _ in range(2)
    ]
    for session in sessions:
        times = [request.seconds for request in session.requests]
        assert times == sorted(times)
        assert len(times) >= 6
        for request in session.requests:
            assert request.answer is not None
            translate({**request.body, "model": "claude-sonnet-5-5"})


def test_histories_go_on_or_are_built_anew(tree: Path) -> None:
    for session in made_sessions(tree):
        for before, after in zip(session.requests, session.requests[1:], strict=False):
            old, new = before.body["messages"], after.body["messages"]
            goes_on = new[: len(old)] == old
            assert goes_on is (session.kind != "rebuilt chat")
            assert before.answer in new


def test_a_tree_without_files_gives_no_conversation(tmp_path: Path) -> None:
    assert made_sessions(tmp_path) == []


def test_changes_are_exact_pieces_of_both_versions() -> None:
    before = "".join(f"{number}\n" for number in range(100))
    after = before.replace("\n20\n", "\ntwenty\n").replace("\n80\n", "\n")
    first, second = changes(before, after)
    assert "twenty\n" in first.new
    assert before.replace(first.old, first.new).replace(second.old, second.new) == after
