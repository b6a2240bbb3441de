"""What a tool loop must have left behind, on disk and at the upstream."""

from typing import Any

from tests.clients.programs import AFTER, Workspace
from tests.contract.harness.simulator import Simulator

MODEL = "claude-sonnet-5-5"
READ = "the quokka counts 42"
"""What the file says and no prompt does: who sends it has read the file."""

Json = dict[str, Any]


def task(path: str = "notes.txt") -> str:
    """A prompt for two steps, the second of which changes `before` in the file to `after`."""
    return f"Read {path} then edit {path}"


def assert_edited(workspace: Workspace, simulator: Simulator, refused: int = 0) -> None:
    """The file is changed in three turns, whose thinking is in the history to the end.

    The upstream refused the first `refused` requests and no other.
    """
    assert workspace.notes.read_text("utf-8") == AFTER
    records = simulator.requests()
    accepted = records[refused:]
    assert [record["status"] for record in records[:refused]] == [400] * refused
    assert [record["status"] for record in accepted] == [200] * len(accepted)
    assert len(with_tools(accepted)) >= 3
    assert_thinking_kept(accepted)
    assert any(READ in str(result) for result in results(records)), "the file's text never came"


def assert_thinking_kept(records: list[Json]) -> None:
    """Every turn that called a tool still begins with what the model thought."""
    for record in records:
        for message in record["body"]["messages"]:
            if message["role"] == "assistant" and isinstance(message["content"], list):
                kinds = [block["type"] for block in message["content"]]
                assert "tool_use" not in kinds or kinds[0] == "thinking", kinds


def with_tools(records: list[Json]) -> list[Json]:
    """Bodies that offer tools; a title or a summary is asked for without."""
    return [record["body"] for record in records if record["body"].get("tools")]


def results(records: list[Json]) -> list[Json]:
    """Tool results of the newest request that has any."""
    for record in reversed(records):
        found = [
            block
            for message in record["body"]["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
            if block["type"] == "tool_result"
        ]
        if found:
            return found
    return []
