"""Coding agents through chat completions and Messages: their own tools change a real file."""

import platform
from pathlib import Path

import pytest

from gateway import wire
from tests.clients.environments import (
    INSTALL_SECONDS,
    javascript_environment,
    node_and_npm,
    python_environment,
)
from tests.clients.loops import MODEL, Json, assert_edited, task, with_tools
from tests.clients.programs import AFTER, RUN_SECONDS, Workspace, run
from tests.contract.harness.gateway import Gateway
from tests.contract.harness.simulator import Simulator

pytestmark = pytest.mark.timeout(2 * INSTALL_SECONDS + 2 * RUN_SECONDS)
SMALL_MODEL = "claude-haiku-5-5"
_THOUGHT = {"type": "thinking", "thinking": "One step after the other."}


def own_program(environment: str, pattern: str) -> Path:
    """The program a package brings for this machine; platform packages hold one each."""
    modules = javascript_environment(environment) / "node_modules"
    found = sorted(modules.glob(pattern))
    if not found:
        pytest.skip(f"{environment} has no build for {platform.system()} {platform.machine()}")
    return found[0]


def node_program(environment: str, name: str) -> tuple[Path, Path]:
    """Node.js and a program of a package's."""
    modules = javascript_environment(environment) / "node_modules"
    return node_and_npm().node, modules / ".bin" / name


def test_claude_code(workspace: Workspace, gateway: Gateway, simulator: Simulator) -> None:
    claude = own_program("claude-code", "@anthropic-ai/claude-code-*/claude")
    settings = {
        "ANTHROPIC_BASE_URL": gateway.root_url,
        "ANTHROPIC_AUTH_TOKEN": gateway.api_key,
        "ANTHROPIC_MODEL": MODEL,
        "ANTHROPIC_SMALL_FAST_MODEL": SMALL_MODEL,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
    }
    options = ("--output-format", "json", "--permission-mode", "acceptEdits")
    first = run(
        [claude, "-p", task(str(workspace.notes)), *options],
        workspace,
        settings,
        path=[node_and_npm().node.parent],
    )
    said = wire.loads(first)
    assert said["subtype"] == "success"
    assert not said["is_error"]
    assert said["num_turns"] == 3
    assert "has been updated" in said["result"]
    assert said["usage"]["cache_read_input_tokens"] > 0
    assert_edited(workspace, simulator)

    # The conversation goes on in another process, with the thinking of the first in its history.
    again = ("--continue", "-p", f"Read {workspace.notes}")
    said = wire.loads(run([claude, *again, *options], workspace, settings))
    assert not said["is_error"]
    records = simulator.requests()
    assert {record["status"] for record in records} == {200}
    kinds = {
        block["type"]
        for message in records[-1]["body"]["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
    }
    assert {"thinking", "tool_use", "tool_result"} <= kinds


def test_opencode(workspace: Workspace, gateway: Gateway, simulator: Simulator) -> None:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Coding Gateway",
        "options": {"baseURL": gateway.base_url, "apiKey": gateway.api_key},
        "models": {
            name: {"name": name, "limit": {"context": 200000, "output": 8000}}
            for name in (MODEL, SMALL_MODEL)
        },
    }
    config = {
        "autoupdate": False,
        "share": "disabled",
        "model": f"gateway/{MODEL}",
        "small_model": f"gateway/{SMALL_MODEL}",
        "provider": {"gateway": provider},
        "permission": {"edit": "allow", "bash": "allow"},
    }
    workspace.write_home(".config/opencode/opencode.json", wire.dumps(config).decode())
    said = run(
        [own_program("opencode", "opencode-*/bin/opencode"), "run", task(str(workspace.notes))],
        workspace,
        {
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_SHARE": "1",
        },
    )
    assert "Edit applied successfully" in said
    assert_edited(workspace, simulator)


def test_continue(workspace: Workspace, gateway: Gateway, simulator: Simulator) -> None:
    model = {
        "name": "sonnet",
        "provider": "openai",
        "model": MODEL,
        "apiBase": gateway.base_url,
        "apiKey": gateway.api_key,
        "roles": ["chat"],
    }
    config = {"name": "gateway", "version": "1.0.0", "schema": "v1", "models": [model]}
    file = workspace.write_home(".continue/config.yaml", wire.dumps(config).decode())
    said = run(
        [*node_program("continue", "cn"), "--config", file, "--auto", "-p", task()],
        workspace,
        {"CONTINUE_TELEMETRY_ENABLED": "0", "CONTINUE_METRICS_ENABLED": "0"},
    )
    assert "Successfully edited" in said
    assert_edited(workspace, simulator)


def test_qwen_code(workspace: Workspace, gateway: Gateway, simulator: Simulator) -> None:
    options = ("--auth-type", "openai", "--yolo", "-p", task(str(workspace.notes)))
    said = run(
        [*node_program("qwen-code", "qwen"), *options],
        workspace,
        {
            "OPENAI_API_KEY": gateway.api_key,
            "OPENAI_BASE_URL": gateway.base_url,
            "OPENAI_MODEL": MODEL,
            "QWEN_TELEMETRY_ENABLED": "0",
            "QWEN_CODE_SUPPRESS_YOLO_WARNING": "1",
        },
        path=[node_and_npm().node.parent],
    )
    assert "has been updated" in said
    assert_edited(workspace, simulator)


def test_pi(workspace: Workspace, gateway: Gateway, simulator: Simulator) -> None:
    model = {
        "id": MODEL,
        "name": MODEL,
        "reasoning": False,
        "input": ["text"],
        "contextWindow": 200000,
        "maxTokens": 8000,
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
    }
    provider = {
        "baseUrl": gateway.base_url,
        "api": "openai-completions",
        "apiKey": "GATEWAY_KEY",
        "models": [model],
    }
    listing = wire.dumps({"providers": {"gateway": provider}}).decode()
    workspace.write_home(".pi/agent/models.json", listing)
    choice = ("--provider", "gateway", "--model", MODEL, "--no-session")
    said = run(
        [*node_program("pi", "pi"), *choice, "-p", task()],
        workspace,
        {"GATEWAY_KEY": gateway.api_key, "PI_OFFLINE": "1", "PI_SKIP_VERSION_CHECK": "1"},
    )
    assert "Successfully replaced" in said
    assert_edited(workspace, simulator)


def test_cline(workspace: Workspace, gateway: Gateway, simulator: Simulator) -> None:
    cline = own_program("cline", "@cline/cli-*/bin/cline")
    account = ("-k", gateway.api_key, "-m", MODEL, "-b", gateway.base_url)
    quiet = {"CLINE_NO_AUTO_UPDATE": "1"}
    settings = wire.dumps({"telemetryOptOut": True, "autoUpdateEnabled": False}).decode()
    workspace.write_home(".cline/data/settings/global-settings.json", settings)
    run([cline, "auth", "openai-compatible", *account], workspace, quiet)
    # Its editor makes a new file unless the text to be replaced is given, which is optional.
    path = str(workspace.notes)
    change = {"path": path, "old_text": "before", "new_text": "after"}
    simulator.script(
        {"blocks": [_THOUGHT, _call("read_files", {"files": [{"path": path}]})]},
        {"blocks": [_THOUGHT, _text("I edit it."), _call("editor", change)]},
    )
    said = run([cline, "--json", task(path)], workspace, quiet)
    last = wire.loads(said.splitlines()[-1])
    assert last["type"] == "run_result"
    assert last["finishReason"] == "completed"
    assert_edited(workspace, simulator)


def _call(name: str, arguments: Json) -> Json:
    return {"type": "tool_use", "name": name, "input": arguments}


def test_aider(workspace: Workspace, gateway: Gateway, simulator: Simulator) -> None:
    """It has no tools: the model writes edits as text, and the output of a check comes back."""
    check = workspace.write_home(
        "check.sh", "grep -q ^after notes.txt || { echo not yet; exit 1; }"
    )
    simulator.script(
        {"blocks": [_text(_edit("before", "halfway"))]},
        {"match": {"contains": "not yet"}, "blocks": [_text(_edit("halfway", "after"))]},
    )
    models = ("--model", f"openai/{MODEL}", "--weak-model", f"openai/{SMALL_MODEL}")
    testing = ("--auto-test", "--test-cmd", f"sh {check}", "--no-auto-lint")
    quiet = (
        *("--yes-always", "--no-git", "--no-gitignore", "--no-pretty", "--no-detect-urls"),
        *("--no-check-update", "--no-show-release-notes", "--no-show-model-warnings"),
        *("--analytics-disable", "--no-suggest-shell-commands", "--edit-format", "diff"),
    )
    message = ("--message", "Change before to after in notes.txt")
    said = run(
        [python_environment("aider") / "aider", *models, *testing, *quiet, *message, "notes.txt"],
        workspace,
        {
            "OPENAI_API_BASE": gateway.base_url,
            "OPENAI_API_KEY": gateway.api_key,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
    )
    assert said.count("Applied edit to notes.txt") == 2
    assert workspace.notes.read_text("utf-8") == AFTER
    records = simulator.requests()
    assert [record["status"] for record in records] == [200, 200]
    assert not with_tools(records)


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _edit(old: str, new: str) -> str:
    block = f"<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE"
    return f"A small change.\n\nnotes.txt\n```\n{block}\n```\n"
