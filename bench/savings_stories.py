"""Files and how they came to be, from this repository's own history or, without one, from itself.

A story has the versions of one file and what each change was for. The same tree always gives the
same stories.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

_SUFFIXES = (".py", ".md", ".toml")
_LEAST_CHARS, _MOST_CHARS = 3_000, 40_000
_MOST_COMMITS = 300
_MOST_VERSIONS = 8
_LEAST_VERSIONS = 4
_GIT_SECONDS = 60.0
_CONTEXT_LINES = 3
_NAME = re.compile(r"^(?:async )?(?:def|class) (\w+)|^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Story:
    """The versions of a file, oldest first; `wishes[n]` asks for the change to version n + 1."""

    path: str
    versions: list[str]
    wishes: list[str]


@dataclass(frozen=True, slots=True)
class Change:
    """A piece of a file before and after, with some lines around it that stay."""

    old: str
    new: str


def find_stories(root: Path, count: int) -> list[Story]:
    """`count` stories of different files: those with a history first, the longest file first."""
    stories = {story.path: story for story in _from_history(root)}
    for story in _from_files(root):
        stories.setdefault(story.path, story)
    told = sorted(stories.values(), key=lambda story: (-len(story.versions[-1]), story.path))
    lived = [story for story in told if not story.wishes[0].startswith(_ADD)]
    return [*lived, *(story for story in told if story not in lived)][:count]


def changes(before: str, after: str) -> list[Change]:
    """What a search-and-replace edit would hold."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    found = []
    for group in matcher.get_grouped_opcodes(_CONTEXT_LINES):
        first, last = group[0], group[-1]
        found.append(Change("".join(old[first[1] : last[2]]), "".join(new[first[3] : last[4]])))
    return found


# --- from the files themselves ---

_ADD = "Add "


def _from_files(root: Path) -> Iterator[Story]:
    """Stories in which a file's last parts are written one after the other."""
    for folder in ("gateway", "simulator", "bench", "docs"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in _SUFFIXES and path.is_file():
                text = path.read_text("utf-8", errors="replace")
                parts = re.split(r"(?<=\n)\n\n(?=\S)|(?<=\n)\n(?=#)", text)
                if _LEAST_CHARS <= len(text) <= _MOST_CHARS and len(parts) > _LEAST_VERSIONS:
                    yield _told_by_parts(path.relative_to(root).as_posix(), parts)


def _told_by_parts(path: str, parts: list[str]) -> Story:
    steps = min(_MOST_VERSIONS, len(parts)) - 1
    versions = ["\n\n".join(parts[: len(parts) - left]) for left in range(steps, -1, -1)]
    wishes = [_ADD + _named(parts[len(parts) - left]) for left in range(steps, 0, -1)]
    return Story(path, versions, wishes)


def _named(part: str) -> str:
    match = _NAME.search(part)
    return f"`{match[1] or match[2]}`" if match else "the next part"


# --- from the history ---


def _from_history(root: Path) -> Iterator[Story]:
    """Stories of files that were changed several times; none where there is no history."""
    if not (root / ".git").exists():
        return
    told: dict[str, list[tuple[str, str]]] = {}
    for commit, subject in _commits(root):
        for path, blob in _changed(root, commit):
            told.setdefault(path, []).append((subject, blob))
    for path, steps in sorted(told.items()):
        if len(steps) < _LEAST_VERSIONS:
            continue
        newest = steps[-_MOST_VERSIONS:]
        versions = [_git(root, "cat-file", "blob", blob) for _, blob in newest]
        if all(_LEAST_CHARS <= len(text) <= _MOST_CHARS for text in versions):
            yield Story(path, versions, [subject for subject, _ in newest[1:]])


def _commits(root: Path) -> list[tuple[str, str]]:
    log = _git(root, "log", "--first-parent", f"-n{_MOST_COMMITS}", "--format=%H%x09%s")
    lines = [line.partition("\t") for line in log.splitlines()]
    return [(commit, subject) for commit, _, subject in reversed(lines)]


def _changed(root: Path, commit: str) -> Iterator[tuple[str, str]]:
    """Paths and contents of the files a commit wrote."""
    raw = _git(
        root, *("diff-tree", "-r", "--root", "--no-renames", "--no-commit-id", "-m"),
        *("--first-parent", "-z", commit),
    )  # fmt: skip
    fields = raw.split("\0")
    for facts, path in zip(fields[::2], fields[1::2], strict=False):
        _, _, _, blob, status = facts.split(" ")
        if status in ("A", "M") and path.endswith(_SUFFIXES):
            yield path, blob


def _git(root: Path, *arguments: str) -> str:
    """What git prints; nothing when it cannot tell."""
    command = ["git", "-C", str(root), "-c", "core.quotePath=false", *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
            env={"LC_ALL": "C", "PATH": "/usr/local/bin:/usr/bin:/bin"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
