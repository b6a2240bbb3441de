"""What the README and `up` tell people to type does what they say."""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.parser import build_parser
from gateway.stack import announce
from gateway.stack.launch import Ready
from gateway.stack.process import Identity
from gateway.stack.run_state import RunState
from tests.contract.harness.gateway import Gateway, gateway_of, start_up
from tests.contract.harness.processes import passable_directory
from tests.contract.harness.simulator import running_simulator
from tests.integration.stack_command import run

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def commands() -> dict[str, argparse.ArgumentParser]:
    (choices,) = [
        action.choices
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    return dict(choices)


def table() -> dict[str, str]:
    """The commands the README's table names, with what it says of them."""
    rows = re.findall(r"^\| `coding-gateway ([a-z]+)` \| (.+) \|$", README, re.MULTILINE)
    assert rows
    return dict(rows)


def code_blocks() -> list[str]:
    return re.findall(r"^```[a-z]*\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with (
        passable_directory("gateway-readme-") as home,
        running_simulator("--delta-delay", "0") as upstream,
        start_up(home, upstream.base_url, "--api-processes", "1") as up,
    ):
        yield gateway_of(up.wait_ready())


def shell(command: str, **environment: str) -> str:
    """Run a pasted command; where curl is missing, a stand-in takes its place."""
    if shutil.which("curl") is None:
        stand_in = shlex.join([sys.executable, str(ROOT / "tests/support/curl_stand_in.py")])
        command = f'curl() {{ {stand_in} "$@"; }}\n{command}'
    done = subprocess.run(
        ["sh", "-c", command],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_streams(output: str) -> None:
    events = [event for event in output.split("\n\n") if event.startswith("data: ")]
    assert len(events) > 3
    assert '"role":"assistant"' in events[0]
    assert events[-1].strip() == "data: [DONE]"


def test_the_curl_of_the_readme_streams(gateway: Gateway) -> None:
    (curl,) = [block for block in code_blocks() if block.startswith("curl")]
    address = re.search(r"http://127\.0\.0\.1:\d+/v1", curl)
    assert address is not None
    pasted = curl.replace(address[0], gateway.base_url)
    assert_streams(shell(pasted, GATEWAY_API_KEY=gateway.api_key))


def test_the_curl_that_up_prints_streams(gateway: Gateway) -> None:
    ready = Ready(
        base_url=gateway.base_url,
        api_key=gateway.api_key,
        admin_key=gateway.admin_key,
        temporal_ui=None,
        data_dir=gateway.home,
        simulated=False,
        state=RunState(Identity(0, 0.0)),
    )
    assert_streams(shell(announce.curl(ready)))


def test_the_table_has_exactly_the_commands() -> None:
    assert set(table()) == set(commands())


def test_flags_in_the_table_exist() -> None:
    named = {name: set(re.findall(r"`(--[a-z-]+)", text)) for name, text in table().items()}
    assert len(named["up"]) >= 5
    for name, flags in named.items():
        known = {option for action in commands()[name]._actions for option in action.option_strings}
        assert flags <= known, name


# `worker` hands its options on to worker.py, whose help is its own.
WITH_HELP = [(), *((name,) for name in sorted(set(commands()) - {"worker"}))]


@pytest.mark.parametrize("arguments", WITH_HELP)
def test_every_command_has_help_worth_reading(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert text.startswith("usage: coding-gateway")
    assert len(text.splitlines()) > 8
    if not arguments:
        assert all(f"\n    {name}" in text for name in commands())


def test_the_version_is_told(tmp_path: Path) -> None:
    done = run("--version", cwd=tmp_path)
    assert re.fullmatch(r"coding-gateway \d+\.\d+\.\d+\S*\n", done.stdout)


def test_make_targets_the_readme_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = set(re.findall(r"`?make ([a-z]+)", README))
    assert named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
