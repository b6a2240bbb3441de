"""Libraries through chat completions and Messages: each reads a file, edits it and answers."""

import pytest

from gateway import wire
from tests.clients.environments import INSTALL_SECONDS, python_environment
from tests.clients.libraries import run_javascript, run_python
from tests.clients.loops import MODEL, assert_edited, results, task
from tests.clients.programs import RUN_SECONDS, Workspace, run
from tests.contract.harness.gateway import Gateway
from tests.contract.harness.simulator import Simulator

pytestmark = pytest.mark.timeout(2 * INSTALL_SECONDS + RUN_SECONDS)


@pytest.mark.parametrize("stream", ["1", "0"], ids=["streamed", "whole"])
def test_openai_for_python(
    stream: str, workspace: Workspace, gateway: Gateway, simulator: Simulator
) -> None:
    said = run_python("openai", workspace, gateway, PROMPT=task(), STREAM=stream)
    assert "edited notes.txt" in said
    assert_edited(workspace, simulator)


def test_anthropic_for_python(workspace: Workspace, gateway: Gateway, simulator: Simulator) -> None:
    """Its tool runner lets the server hold the conversation, and sends it all once refused."""
    said = run_python("anthropic", workspace, gateway, PROMPT=task())
    assert "edited notes.txt" in said
    assert_edited(workspace, simulator, refused=1)
    threads = [record["body"].get("thread") for record in simulator.requests()]
    assert threads == [{"type": "create"}, None, None, None]


@pytest.mark.parametrize("name", ["langchain", "pydantic-ai", "openai-agents"])
def test_a_library_for_python(
    name: str, workspace: Workspace, gateway: Gateway, simulator: Simulator
) -> None:
    said = run_python(name, workspace, gateway, PROMPT=task(), PROTOCOL="chat")
    assert "edited notes.txt" in said
    assert_edited(workspace, simulator)


@pytest.mark.parametrize("name", ["openai", "ai-sdk"])
def test_a_library_for_javascript(
    name: str, workspace: Workspace, gateway: Gateway, simulator: Simulator
) -> None:
    said = run_javascript(name, workspace, gateway, PROMPT=task())
    assert "edited notes.txt" in said
    assert_edited(workspace, simulator)


def test_smolagents(workspace: Workspace, gateway: Gateway, simulator: Simulator) -> None:
    # Its history holds no tool calls and it demands one in every step: a model sees what to do
    # next in the text, the built-in agent of the simulator does not.
    steps = [
        ("read_file", {"path": "notes.txt"}),
        ("edit_file", {"path": "notes.txt", "old_text": "before", "new_text": "after"}),
        ("final_answer", {"answer": "edited as asked"}),
    ]
    simulator.script(*({"blocks": [{"type": "tool_use", "name": n, "input": i}]} for n, i in steps))
    said = run_python("smolagents", workspace, gateway, PROMPT=task())
    assert said.splitlines()[-1] == "edited as asked"
    assert workspace.notes.read_text("utf-8").startswith("after")
    records = simulator.requests()
    assert [record["status"] for record in records] == [200] * 3
    assert "the quokka counts 42" in str(records[1]["body"]["messages"])


def test_instructor_asks_again(
    workspace: Workspace, gateway: Gateway, simulator: Simulator
) -> None:
    simulator.script(
        *(
            {"blocks": [{"type": "tool_use", "name": "Animal", "input": animal}]}
            for animal in ({"name": "quokka", "legs": 5}, {"name": "quokka", "legs": 4})
        )
    )
    said = run_python("instructor", workspace, gateway, PROMPT="How many legs has a quokka?")
    assert said == "quokka 4\n"
    records = simulator.requests()
    assert [record["status"] for record in records] == [200, 200]
    assert "an even number of legs" in str(results(records))


def test_llm(workspace: Workspace, gateway: Gateway, simulator: Simulator) -> None:
    """The command `llm`, with functions of a file as its tools."""
    model = {
        "model_id": "gateway",
        "model_name": MODEL,
        "api_base": gateway.base_url,
        "api_key_name": "gateway",
        "supports_tools": True,
    }
    listing = wire.dumps([model]).decode()
    workspace.write_home("llm/extra-openai-models.yaml", listing)
    workspace.write_home("llm/keys.json", wire.dumps({"gateway": gateway.api_key}).decode())
    functions = workspace.write_home("functions.py", _FUNCTIONS)
    command = python_environment("llm") / "llm"
    said = run(
        [command, "-m", "gateway", "--functions", functions, task()],
        workspace,
        {"LLM_USER_PATH": str(workspace.home / "llm")},
    )
    assert "edited notes.txt" in said
    assert_edited(workspace, simulator)


_FUNCTIONS = '''
from pathlib import Path


def read_file(path: str) -> str:
    """Read a text file."""
    return Path(path).read_text()


def edit_file(path: str, old_text: str, new_text: str) -> str:
    """Replace a text in a file."""
    Path(path).write_text(Path(path).read_text().replace(old_text, new_text))
    return f"edited {path}"
'''
