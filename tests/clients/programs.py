"""Programs of clients, run as on a machine of their own: a home, a workspace, and loopback only."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

BEFORE = "before\nthe quokka counts 42\n"
AFTER = "after\nthe quokka counts 42\n"
RUN_SECONDS = 90  # the slowest needs 8 on an idle machine

_NOWHERE = "http://127.0.0.1:9"  # nobody listens there: whoever leaves loopback fails at once
_QUIET = {
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "NO_COLOR": "1",
    "CI": "1",
    "DO_NOT_TRACK": "1",
    "HTTP_PROXY": _NOWHERE,
    "HTTPS_PROXY": _NOWHERE,
    "http_proxy": _NOWHERE,
    "https_proxy": _NOWHERE,
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}


@dataclass(frozen=True)
class Workspace:
    """A user's home and the project the client works on, which holds `notes.txt`."""

    home: Path
    work: Path

    @property
    def notes(self) -> Path:
        return self.work / "notes.txt"

    def write_home(self, path: str, text: str) -> Path:
        """A configuration file in the home."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def environment(self, variables: Mapping[str, str], path: Sequence[Path]) -> dict[str, str]:
        """Environment variables of a program: nothing of ours comes through."""
        places = {
            "HOME": self.home,
            "XDG_CONFIG_HOME": self.home / ".config",
            "XDG_DATA_HOME": self.home / ".local" / "share",
            "XDG_STATE_HOME": self.home / ".local" / "state",
            "XDG_CACHE_HOME": self.home / ".cache",
            "TMPDIR": self.home / "tmp",
        }
        search = [*map(str, path), "/usr/local/bin", "/usr/bin", "/bin"]
        named = {name: str(place) for name, place in places.items()}
        return {**_QUIET, **named, "PATH": os.pathsep.join(search), **variables}


def new_workspace(home: Path) -> Workspace:
    """A workspace below a directory."""
    workspace = Workspace(home / "home", home / "work")
    (workspace.home / "tmp").mkdir(parents=True)
    workspace.work.mkdir()
    workspace.notes.write_text(BEFORE, encoding="utf-8")
    return workspace


def run(
    command: Sequence[str | Path],
    workspace: Workspace,
    variables: Mapping[str, str],
    path: Sequence[Path] = (),
) -> str:
    """Standard output of a program that must succeed. Nothing it started outlives it.

    `variables` are added to its environment, `path` to where it finds programs.
    """
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=workspace.work,
        env=workspace.environment(variables, path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    out, err, ended = "", "", True
    try:
        out, err = process.communicate(timeout=RUN_SECONDS)
    except subprocess.TimeoutExpired:
        ended = False
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for left in _of(workspace):
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()
        if not ended:
            out, err = process.communicate()
    if not ended or process.returncode != 0:
        what = f"ended with {process.returncode}" if ended else f"not done in {RUN_SECONDS} s"
        pytest.fail(
            f"{' '.join(map(str, command))}\n{what}\n{out[-4000:]}\n{err[-4000:]}", pytrace=False
        )
    return out


def _of(workspace: Workspace) -> Iterator[psutil.Process]:
    """Processes that live in the home of a workspace, also those that left their parents."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HOME") == str(workspace.home):
                yield process
