"""Continue's logs: its records of requests, and its session files."""

from pathlib import Path
from typing import Any

from gateway import wire
from gateway.savings.sessions import read_all, read_file

PROMPT = (
    "<system>\nBe brief.\n\n<user>\n```a.py\nx = 1\n```\nWhy?\n\n"
    "<assistant>\nBecause.\n\n<thinking>\nhm\n\n<user>\nAnd <user>\nhere?\n\n"
)


def interaction(minute: int, prompt: str, **more: Any) -> dict[str, Any]:
    return {
        "eventName": "chatInteraction",
        "schema": "0.2.0",
        "timestamp": f"2026-11-25T02:{minute:02d}:00.000Z",
        "sessionId": "s1",
        "prompt": prompt,
        "completion": f"answer {minute}",
        "modelName": "m",
        **more,
    }


def write(path: Path, *values: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(wire.dumps_text(value) + "\n" for value in values))
    return path


def test_interactions_are_requests(tmp_path: Path) -> None:
    file = write(
        tmp_path / "chatInteraction.jsonl",
        interaction(1, "<user>\nhi\n\n", tools=["read_file"]),
        interaction(2, "<user>\nother\n\n", sessionId="s2"),
        interaction(4, PROMPT),
        {"eventName": "chatInteraction", "prompt": "x"},
    )
    reading = read_file(file)
    assert [(each.id, len(each.requests)) for each in reading.sessions] == [("s1", 2), ("s2", 1)]
    first, second = reading.sessions[0].requests
    assert first.body["messages"] == [{"role": "user", "content": "hi"}]
    assert first.body["tools"][0]["function"]["name"] == "read_file"
    assert second.seconds == 180.0
    assert second.answer == {"role": "assistant", "content": "answer 4"}
    assert second.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "```a.py\nx = 1\n```\nWhy?"},
        {"role": "assistant", "content": "Because."},
        {"role": "user", "content": "And <user>\nhere?"},
    ]
    assert [problem.line for problem in reading.problems] == [4]


CALL = {"id": "c1", "type": "function", "function": {"name": "read_file", "arguments": '{"p": 1}'}}
HISTORY: list[dict[str, Any]] = [
    {
        "message": {"role": "user", "content": [{"type": "text", "text": "Look"}]},
        "contextItems": [{"name": "a.py", "description": "src/a.py", "content": "x = 1"}],
    },
    {
        "message": {"role": "assistant", "content": "", "toolCalls": [CALL]},
        "toolCallStates": [
            {"toolCallId": "c1", "status": "done", "output": [{"content": "found"}]}
        ],
        "reasoning": {"active": False, "text": "hm", "startAt": 1_000_000},
    },
    {
        "message": {"role": "assistant", "content": "It is 1."},
        "reasoning": {"active": False, "text": "hm", "startAt": 1_042_000},
    },
    {"message": {"role": "thinking", "content": "hm"}},
    {"no": "message"},
    {"message": {"role": "user", "content": "Thanks"}, "contextItems": []},
    {
        "message": {"role": "assistant", "content": "Sure."},
        "promptLogs": [{"prompt": "<user>\nas it was sent\n\n", "completion": "Sure."}],
    },
]


def test_a_session_file_is_a_conversation(tmp_path: Path) -> None:
    file = tmp_path / "s9.json"
    file.write_bytes(wire.dumps({"sessionId": "s9", "title": "t", "history": HISTORY}))
    reading = read_file(file)
    (session,) = reading.sessions
    assert (session.id, session.kind, session.notes) == ("s9", "continue", [])
    first, second, third = session.requests
    looked = {"role": "user", "content": "```src/a.py\nx = 1\n```\n\nLook"}
    assert first.body["messages"] == [looked]
    assert second.body["messages"] == [
        looked,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
    ]
    assert third.body["messages"] == [{"role": "user", "content": "as it was sent"}]
    assert [each.seconds for each in session.requests] == [0.0, 42.0, 102.0]
    assert {each.body["tools"][0]["function"]["name"] for each in session.requests} == {"read_file"}
    assert [problem.message for problem in reading.problems] == [
        "item 5 of the history cannot be read"
    ]


def test_a_result_with_a_message_of_its_own_is_there_once(tmp_path: Path) -> None:
    history = [
        *HISTORY[:2],
        {"message": {"role": "tool", "toolCallId": "c1", "content": "found it"}},
        HISTORY[2],
    ]
    file = tmp_path / "s.json"
    file.write_bytes(wire.dumps({"sessionId": "s", "history": history}))
    (session,) = read_file(file).sessions
    results = [m["content"] for m in session.requests[1].body["messages"] if m["role"] == "tool"]
    assert results == ["found it"]


def test_without_any_time_a_minute_between_requests_is_assumed_and_said(tmp_path: Path) -> None:
    history = [{"message": each["message"]} for each in HISTORY[:1] + HISTORY[2:3] * 2]
    file = tmp_path / "s.json"
    file.write_bytes(wire.dumps({"sessionId": "s", "history": history}))
    (session,) = read_file(file).sessions
    assert [each.seconds for each in session.requests] == [0.0, 60.0]
    assert "no times" in session.notes[0]


def test_a_whole_folder_of_continue_counts_each_conversation_once(tmp_path: Path) -> None:
    write(
        tmp_path / "dev_data/0.2.0/chatInteraction.jsonl", *[interaction(n, PROMPT) for n in (1, 2)]
    )
    write(tmp_path / "dev_data/0.2.0/tokensGenerated.jsonl", {"model": "m", "promptTokens": 5})
    write(tmp_path / "sessions/sessions.json", [{"sessionId": "s1", "title": "t"}])
    write(tmp_path / "sessions/s1.json", {"sessionId": "s1", "history": HISTORY[5:]})
    write(tmp_path / "config.json", {"models": []})
    read = read_all([tmp_path])
    assert [(each.id, len(each.requests)) for each in read.sessions] == [("s1", 2)]
