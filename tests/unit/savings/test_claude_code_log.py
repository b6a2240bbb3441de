"""Claude Code's logs: requests rebuilt from entries, as the client has sent them."""

from pathlib import Path
from typing import Any

from gateway import wire
from gateway.savings.session import Reading, RecordedUsage
from gateway.savings.sessions import read_file

Entry = dict[str, Any]


class Log:
    """Writes entries, a second apart, each the child of the one before."""

    def __init__(self) -> None:
        self.entries: list[Entry] = [
            {"type": "file-history-snapshot", "messageId": "m", "snapshot": {}},
            {"type": "summary", "summary": "x", "leafUuid": "gone"},
        ]
        self.seconds = 0
        self.last: str | None = None

    def add(self, kind: str, message: Entry | None, **more: Any) -> str:
        uuid = f"u{len(self.entries)}"
        entry = {
            "type": kind,
            "uuid": uuid,
            "parentUuid": self.last,
            "sessionId": "s",
            "timestamp": f"2026-11-25T02:00:{self.seconds:02d}.500Z",
            **more,
        }
        if message is not None:
            entry["message"] = message
        self.entries.append(entry)
        self.seconds += 1
        self.last = uuid
        return uuid

    def said(self, content: object, **more: Any) -> str:
        return self.add("user", {"role": "user", "content": content}, **more)

    def answer(self, identity: str, *blocks: Entry, **more: Any) -> str:
        message = {"id": identity, "role": "assistant", "model": "m", "content": list(blocks)}
        return self.add("assistant", message, **more)

    def read(self, folder: Path, *, broken: str = "") -> Reading:
        data = "".join(wire.dumps_text(entry) + "\n" for entry in self.entries) + broken
        file = folder / "abc.jsonl"
        file.write_text(data)
        return read_file(file)


def words(value: str) -> Entry:
    return {"type": "text", "text": value}


def call(identity: str, name: str = "Read") -> Entry:
    return {"type": "tool_use", "id": identity, "name": name, "input": {"path": identity}}


def result(identity: str, value: object = "done") -> Entry:
    return {"type": "tool_result", "tool_use_id": identity, "content": value}


def shape(messages: list[Entry]) -> list[str]:
    """Role and content or calls of each message, short."""
    shown = []
    for each in messages:
        calls = ",".join(one["id"] for one in each.get("tool_calls") or [])
        content = each.get("content")
        if isinstance(content, list):
            content = "+".join(part.get("text", part["type"]) for part in content)
        shown.append(f"{each['role']}:{content or ''}{calls and '!' + calls}")
    return shown


def test_requests_are_what_was_said_before_each_answer(tmp_path: Path) -> None:
    log = Log()
    log.said("fix it")
    log.answer("m1", {"type": "thinking", "thinking": "hm", "signature": "s"})
    log.answer("m1", words("Let me look."))
    log.answer("m1", call("t1"))
    log.said([result("t1", [words("the file")])])
    log.answer("m2", words("Done."))
    reading = log.read(tmp_path)
    assert reading.problems == []
    (session,) = reading.sessions
    assert (session.id, session.kind) == ("abc", "claude-code")
    assert "lack system prompt" in session.notes[0]
    first, second = session.requests
    assert shape(first.body["messages"]) == ["user:fix it"]
    assert first.answer is not None
    assert shape([first.answer]) == ["assistant:Let me look.!t1"]
    assert shape(second.body["messages"]) == [
        "user:fix it",
        "assistant:Let me look.!t1",
        "tool:the file",
    ]
    # Sent when the result was there: 4 seconds after the first one.
    assert (first.seconds, second.seconds) == (0.0, 4.0)


def test_results_of_parallel_calls_stand_behind_the_whole_answer(tmp_path: Path) -> None:
    log = Log()
    log.said("go")
    log.answer("m1", call("t1"))
    log.said([result("t1", "one")])
    log.answer("m1", call("t2"))
    log.said([result("t2", "two")])
    log.answer("m2", words("ok"))
    (session,) = log.read(tmp_path).sessions
    assert len(session.requests) == 2
    assert shape(session.requests[1].body["messages"]) == [
        "user:go",
        "assistant:!t1,t2",
        "tool:one",
        "tool:two",
    ]


def test_every_request_has_all_tools_that_are_ever_called(tmp_path: Path) -> None:
    log = Log()
    log.said("go")
    log.answer("m1", call("t1", "Write"))
    log.said([result("t1")])
    log.answer("m2", call("t2", "Bash"))
    (session,) = log.read(tmp_path).sessions
    for request in session.requests:
        named = [tool["function"]["name"] for tool in request.body["tools"]]
        assert named == ["Bash", "Write"]


def test_going_back_leaves_out_what_was_abandoned(tmp_path: Path) -> None:
    log = Log()
    log.said("first")
    kept = log.answer("m1", words("yes"))
    log.said("wrong way")
    log.answer("m2", words("no"))
    log.last = kept
    log.said("right way")
    log.answer("m3", words("good"))
    (session,) = log.read(tmp_path).sessions
    assert shape(session.requests[2].body["messages"]) == [
        "user:first",
        "assistant:yes",
        "user:right way",
    ]


def test_a_compacted_history_begins_anew(tmp_path: Path) -> None:
    log = Log()
    log.said("long")
    log.answer("m1", words("work"))
    log.last = None
    log.add("system", None, subtype="compact_boundary", content="Conversation compacted")
    log.said("This is what happened", isCompactSummary=True)
    log.said("go on")
    log.answer("m2", words("on"))
    (session,) = log.read(tmp_path).sessions
    assert shape(session.requests[1].body["messages"]) == [
        "user:This is what happened",
        "user:go on",
    ]


def test_subagents_are_conversations_of_their_own(tmp_path: Path) -> None:
    log = Log()
    log.said("plan")
    main = log.answer("m1", call("t1", "Task"))
    log.last = None
    log.said("search", isSidechain=True)
    log.answer("a1", words("found"), isSidechain=True)
    log.last = main
    log.said([result("t1", "found")])
    log.answer("m2", words("thanks"))
    sessions = log.read(tmp_path).sessions
    assert [len(each.requests) for each in sessions] == [2, 1]
    assert sessions[1].id.startswith("abc/")
    assert shape(sessions[1].requests[0].body["messages"]) == ["user:search"]
    assert "search" not in str(shape(sessions[0].requests[1].body["messages"]))


def test_errors_of_the_client_were_never_sent(tmp_path: Path) -> None:
    log = Log()
    log.said("hi")
    log.answer("e1", words("API Error: 529"), isApiErrorMessage=True)
    log.answer("m1", words("hello"))
    (session,) = log.read(tmp_path).sessions
    assert [shape(each.body["messages"]) for each in session.requests] == [["user:hi"]]


def test_images_and_empty_results_are_kept(tmp_path: Path) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "QQ=="}
    log = Log()
    log.said([words("see"), {"type": "image", "source": source}])
    log.answer("m1", call("t1"))
    log.said([result("t1", ""), words("and?")])
    log.answer("m2", words("ok"))
    (session,) = log.read(tmp_path).sessions
    messages = session.requests[1].body["messages"]
    assert shape(messages) == ["user:see+image_url", "assistant:!t1", "tool:", "user:and?"]
    assert messages[0]["content"][1]["image_url"]["url"] == "data:image/png;base64,QQ=="


def test_what_was_billed_is_read_with_the_answer(tmp_path: Path) -> None:
    log = Log()
    log.said("hi")
    usage = {
        "input_tokens": 3,
        "cache_read_input_tokens": 900,
        "cache_creation_input_tokens": 70,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 50},
        "output_tokens": 5,
    }
    message = {"id": "m1", "content": [words("hello")], "usage": usage}
    log.add("assistant", message)
    log.said("and?")
    log.answer("m2", words("well"))
    log.entries.append(
        {**log.entries[3], "uuid": "z", "message": {**message, "usage": {"input_tokens": "x"}}}
    )
    reading = log.read(tmp_path)
    first, second = reading.sessions[0].requests
    assert first.usage == RecordedUsage(3, 900, 20, 50)
    assert second.usage is None
    assert [problem.line for problem in reading.problems] == [7]


def test_broken_entries_are_named(tmp_path: Path) -> None:
    log = Log()
    log.said("hi")
    log.answer("m1", words("hello"))
    log.entries.append(
        {"type": "user", "uuid": "x", "message": {"role": "user", "content": "no time"}}
    )
    log.entries.append(
        {"type": "assistant", "uuid": "y", "message": {"content": [{"type": "text"}]}}
    )
    reading = log.read(tmp_path, broken='{"type": "user", \n')
    assert [problem.line for problem in reading.problems] == [7, 5, 6]
    assert len(reading.sessions[0].requests) >= 1
