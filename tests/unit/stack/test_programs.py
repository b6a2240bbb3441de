"""The commands of our own processes."""

import importlib.util
import sys
from pathlib import Path

from gateway.stack import environment, programs
from gateway.stack.data_directory import DataDirectory


def test_the_api_is_found_wherever_the_user_stands() -> None:
    words = programs.api_arguments()
    assert words == (sys.executable, "-P", "-OO", "-m", "api.server")
    spec = importlib.util.find_spec("api.server")
    assert spec is not None
    assert spec.origin == str(environment.program_root() / "api" / "server.py")


def test_the_worker_is_the_file_beside_the_packages() -> None:
    words = programs.worker_arguments(("--ready-file", "/tmp/ready"))
    assert words[2] == str(environment.program_root() / "worker.py")
    assert words[3:] == ("--ready-file", "/tmp/ready")


def test_a_worker_is_not_killed_while_its_activities_have_grace(tmp_path: Path) -> None:
    part = programs.worker_part(1, {}, DataDirectory(tmp_path), grace_seconds=60.0)
    assert part.stop_seconds == 60.0 + programs.DRAIN_SECONDS
