"""The environment that child processes inherit."""

import os
from pathlib import Path

import gateway
from gateway.config import inherited_environment


def program_root() -> Path:
    """The directory that holds the packages `gateway`, `api`, `simulator` and `worker.py`."""
    return Path(gateway.__file__).resolve().parent.parent


def for_programs(overrides: dict[str, str]) -> dict[str, str]:
    """The environment of our own programs: everything inherited, then `overrides`.

    They run with `python -P`, so that a package called `api` in the directory the user stands in
    is never imported instead of ours; in a checkout the root is therefore put on the path here.
    """
    environment = inherited_environment()
    root = program_root()
    if root.name not in {"site-packages", "dist-packages"}:
        paths = [str(root), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
        environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    return environment | overrides


def for_servers(home: Path) -> dict[str, str]:
    """A small, clean environment for the embedded servers, which need nothing of the user's.

    Temporal's command line reads a profile under $HOME and fails when it cannot.
    """
    return {
        "PATH": inherited_environment().get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }
