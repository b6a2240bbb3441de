"""The commands of our own processes."""

import sys

import pytest

from gateway.stack import environment, programs


def test_the_api_is_found_wherever_the_user_stands() -> None:
    words = programs.uvicorn_arguments()
    assert words[:2] == (sys.executable, "-P")
    assert words[words.index("--app-dir") + 1] == str(environment.program_root())


@pytest.mark.parametrize(
    "option",
    ["--no-access-log", "--no-server-header", "--no-date-header", "--timeout-graceful-shutdown"],
)
def test_the_api_is_served_lean_and_ends_its_streams(option: str) -> None:
    assert option in programs.uvicorn_arguments()


def test_the_worker_is_the_file_beside_the_packages() -> None:
    words = programs.worker_arguments(("--ready-file", "/tmp/ready"))
    assert words[2] == str(environment.program_root() / "worker.py")
    assert words[3:] == ("--ready-file", "/tmp/ready")
