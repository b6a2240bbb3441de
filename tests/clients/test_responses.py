"""Clients of the Responses protocol; Codex CLI speaks no other."""

import pytest

from gateway import wire
from tests.clients.environments import INSTALL_SECONDS, javascript_environment, node_and_npm
from tests.clients.libraries import run_javascript, run_python
from tests.clients.loops import (
    MODEL,
    READ,
    Json,
    assert_edited,
    assert_thinking_kept,
    results,
    task,
)
from tests.clients.programs import AFTER, RUN_SECONDS, Workspace, run
from tests.contract.harness.gateway import Gateway
from tests.contract.harness.simulator import Simulator

pytestmark = pytest.mark.timeout(2 * INSTALL_SECONDS + 2 * RUN_SECONDS)

_THOUGHT = {"type": "thinking", "thinking": "One step after the other."}
PATCH = """*** Begin Patch
*** Update File: notes.txt
@@
-before
+after
 the quokka counts 42
*** End Patch
"""


@pytest.mark.parametrize("stream", ["1", "0"], ids=["streamed", "whole"])
def test_openai_for_python_continues_stored_responses(
    stream: str, workspace: Workspace, gateway: Gateway, simulator: Simulator
) -> None:
    settings = {"PROMPT": task(), "STREAM": stream, "PROTOCOL": "responses"}
    said = run_python("openai", workspace, gateway, **settings)
    assert "edited notes.txt" in said
    assert_edited(workspace, simulator)


@pytest.mark.parametrize("name", ["langchain", "pydantic-ai", "openai-agents"])
def test_a_library_for_python(
    name: str, workspace: Workspace, gateway: Gateway, simulator: Simulator
) -> None:
    said = run_python(name, workspace, gateway, PROMPT=task(), PROTOCOL="responses")
    assert "edited notes.txt" in said
    assert_edited(workspace, simulator)


@pytest.mark.parametrize("name", ["openai", "ai-sdk"])
def test_a_library_for_javascript(
    name: str, workspace: Workspace, gateway: Gateway, simulator: Simulator
) -> None:
    said = run_javascript(name, workspace, gateway, PROMPT=task(), PROTOCOL="responses")
    assert "edited notes.txt" in said
    assert_edited(workspace, simulator)


def codex(workspace: Workspace, gateway: Gateway, *arguments: str) -> list[Json]:
    """The events of `codex exec`."""
    config = f"""
model = "{MODEL}"
model_provider = "gateway"
check_for_update_on_startup = false
[model_providers.gateway]
name = "Coding Gateway"
base_url = "{gateway.base_url}"
env_key = "GATEWAY_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
[analytics]
enabled = false
"""
    workspace.write_home(".codex/config.toml", config)
    program = javascript_environment("codex") / "node_modules" / ".bin" / "codex"
    options = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--json")
    out = run(
        [node_and_npm().node, program, "exec", *options, *arguments],
        workspace,
        {"GATEWAY_KEY": gateway.api_key},
    )
    return [wire.loads(line) for line in out.splitlines() if line.startswith("{")]


def test_codex(workspace: Workspace, gateway: Gateway, simulator: Simulator) -> None:
    """It reads with a command, edits with a patch, and goes on in another process."""
    edit = f"apply_patch <<'EOF'\n{PATCH}EOF\n"
    simulator.script(
        {"blocks": [_THOUGHT, _command("cat notes.txt")]},
        {"blocks": [_THOUGHT, {"type": "text", "text": "Now the edit."}, _command(edit)]},
        {"blocks": [{"type": "text", "text": "notes.txt is edited."}]},
    )
    events = codex(workspace, gateway, "Change before to after in notes.txt")
    assert events[-1]["type"] == "turn.completed", events[-3:]
    assert "notes.txt is edited." in str(events)
    assert workspace.notes.read_text("utf-8") == AFTER
    records = simulator.requests()
    assert [record["status"] for record in records] == [200] * 3
    assert READ in str(results(records))
    assert_thinking_kept(records)

    events = codex(workspace, gateway, "resume", "--last", "Run the command `cat notes.txt`")
    assert events[-1]["type"] == "turn.completed", events[-3:]
    records = simulator.requests()
    assert {record["status"] for record in records} == {200}
    assert_thinking_kept(records)
    assert AFTER.splitlines()[0] in str(results(records)[-1])


def _command(text: str) -> Json:
    return {"type": "tool_use", "name": "exec_command", "input": {"cmd": text}}
