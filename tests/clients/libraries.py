"""Libraries of clients, each run by a small program that uses its own tool loop."""

import sys
from pathlib import Path

from tests.clients.environments import (
    HERE,
    javascript_environment,
    node_and_npm,
    python_environment,
)
from tests.clients.loops import MODEL
from tests.clients.programs import Workspace, run
from tests.contract.harness.gateway import Gateway

OF_THE_TESTS = ("openai", "anthropic")  # in the environment of the tests themselves


def run_python(name: str, workspace: Workspace, gateway: Gateway, **extra: str) -> str:
    """What `python/<name>_loop.py` says the model said last."""
    own = name in OF_THE_TESTS
    python = Path(sys.executable) if own else python_environment(name) / "python"
    script = HERE / "python" / f"{name.replace('-', '_')}_loop.py"
    return run([python, script], workspace, _variables(gateway, extra))


def run_javascript(name: str, workspace: Workspace, gateway: Gateway, **extra: str) -> str:
    """What `javascript/<name>/loop.mjs` says the model said last."""
    node = node_and_npm().node
    script = javascript_environment(name) / "loop.mjs"
    return run([node, script], workspace, _variables(gateway, extra))


def _variables(gateway: Gateway, extra: dict[str, str]) -> dict[str, str]:
    """What the small programs read, and switches that keep libraries quiet."""
    return {
        "GATEWAY_URL": gateway.root_url,
        "GATEWAY_KEY": gateway.api_key,
        "MODEL": MODEL,
        "PROTOCOL": "chat",
        "STREAM": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANGSMITH_TRACING": "false",
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
        "HF_HUB_OFFLINE": "1",
        **extra,
    }
