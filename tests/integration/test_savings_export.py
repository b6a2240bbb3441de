"""Stored responses taken out as conversations: joined, read again, and for their owner alone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.cli import main
from gateway.protocols.chat_dialects import translate
from gateway.savings.session import Session
from gateway.savings.sessions import read_file
from gateway.savings.stored_conversations import StoredConversations
from gateway.security.sealing import Sealer
from gateway.storage.response_store import ResponseTable
from gateway.storage.valkey import Valkey
from gateway.turns.responses import StoredResponse, StoredResponses

KEY = "k" * 32
SEALER = Sealer([KEY.encode()])
Item = dict[str, Any]

TOOL = {"type": "function", "name": "read", "parameters": {"type": "object"}, "strict": False}


def said(role: str, words: str, **more: Any) -> Item:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": words, "annotations": []}]
    return {"type": "message", "role": role, "content": content, "id": f"msg_{words}", **more}


def call(identity: str) -> Item:
    return {
        "type": "function_call",
        "id": f"fc_{identity}",
        "call_id": identity,
        "name": "read",
        "arguments": '{"path":"a"}',
        "status": "completed",
    }


def result(identity: str, output: str) -> Item:
    return {"type": "function_call_output", "call_id": identity, "output": output}


def stored(
    name: str, seconds: int, items: list[Item], output: list[Item], previous: str | None = None
) -> StoredResponse:
    moment = int((datetime.now(UTC) - timedelta(hours=2)).timestamp()) + seconds
    response = {
        "id": name,
        "status": "completed",
        "instructions": "be brief",
        "tools": [TOOL],
        "output": output,
    }
    return StoredResponse(name, moment, previous, response, items)


REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
CHAINED = [
    stored("c1", 0, [said("user", "look")], [REASONING, said("assistant", "ok"), call("t1")]),
    stored("c2", 9, [result("t1", "found")], [said("assistant", "done")], "c1"),
    stored("c3", 99, [said("user", "more")], [said("assistant", "sure")], "c2"),
    stored("c4", 200, [said("user", "other way")], [said("assistant", "fine")], "c2"),
]
WHOLE = [
    stored("w1", 5, [said("user", "hello")], [said("assistant", "hi")]),
    stored(
        "w2",
        50,
        [said("user", "hello"), said("assistant", "hi"), said("user", "and?")],
        [said("assistant", "that")],
    ),
    stored("w3", 70, [said("user", "hello")], [said("assistant", "again")]),
]


@pytest.fixture
async def table(valkey_url: str, engine: AsyncEngine) -> AsyncIterator[ResponseTable]:
    valkey = Valkey(valkey_url)
    await valkey.start()
    table = ResponseTable(engine)
    service = StoredResponses(valkey, table, SEALER, ttl_days=30)
    for each in [*CHAINED, *WHOLE]:
        service.save("a", each)
    service.save("b", stored("other", 1, [said("user", "private")], [said("assistant", "x")]))
    await service.writes.flush()
    yield table
    await valkey.close()


async def sessions(table: ResponseTable, project: str | None = "a") -> dict[str, Session]:
    read = StoredConversations(table, SEALER)
    return {each.id: each async for each in read.sessions(project)}


def shape(session: Session, number: int) -> list[str]:
    messages = [*session.requests[number].body["messages"]]
    answer = session.requests[number].answer
    shown = [
        f"{m['role']}:{m['content'] or ''}{'!' * len(m.get('tool_calls', []))}" for m in messages
    ]
    return [*shown, f"-> {answer['content'] if answer else None}"]


async def test_responses_that_name_their_predecessor_are_one_conversation(
    table: ResponseTable,
) -> None:
    chained = (await sessions(table))["a/c1"]
    assert [each.seconds for each in chained.requests] == [0.0, 9.0, 99.0]
    assert shape(chained, 0) == ["system:be brief", "user:look", "-> ok"]
    assert shape(chained, 2) == [
        "system:be brief",
        "user:look",
        "assistant:ok!",
        "tool:found",
        "assistant:done",
        "user:more",
        "-> sure",
    ]
    for request in chained.requests:
        draft = translate({**request.body, "model": "claude-sonnet-5-5"})
        assert draft.body["tools"][0]["name"] == "read"


async def test_a_second_continuation_is_a_conversation_with_all_that_was_before(
    table: ResponseTable,
) -> None:
    forked = (await sessions(table))["a/c4"]
    assert len(forked.requests) == 1
    assert shape(forked, 0)[-3:] == ["assistant:done", "user:other way", "-> fine"]


async def test_a_client_that_sends_all_each_time_is_recognised_by_what_it_has_said(
    table: ResponseTable,
) -> None:
    found = await sessions(table)
    assert [each.seconds for each in found["a/w1"].requests] == [0.0, 45.0]
    assert shape(found["a/w1"], 1) == [
        "system:be brief",
        "user:hello",
        "assistant:hi",
        "user:and?",
        "-> that",
    ]
    assert len(found["a/w3"].requests) == 1  # it began in the same words, and anew
    assert set(found) == {"a/c1", "a/c4", "a/w1", "a/w3"}


async def test_other_projects_stay_out_unless_all_are_wanted(table: ResponseTable) -> None:
    assert set(await sessions(table, "b")) == {"b/other"}
    assert len(await sessions(table, None)) == 5


async def test_what_another_key_has_sealed_is_counted_and_left_out(table: ResponseTable) -> None:
    read = StoredConversations(table, Sealer([b"x" * 32]))
    assert [each async for each in read.sessions(None)] == []
    assert read.skipped == len([*CHAINED, *WHOLE]) + 1


async def test_the_command_writes_a_file_that_replays(
    table: ResponseTable,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("ENCRYPTION_KEYS", KEY)
    out = tmp_path / "kept.jsonl.gz"
    arguments = ["savings", "export", "--out", str(out), "--project", "a"]
    assert await asyncio.to_thread(main, arguments) == 0
    assert "4 conversations written" in capsys.readouterr().err
    assert out.stat().st_mode & 0o777 == 0o600
    assert [len(each.requests) for each in read_file(out).sessions] == [3, 2, 1, 1]
    assert await asyncio.to_thread(main, ["savings", "replay", str(out)]) == 0
    assert "responses (4)" in capsys.readouterr().out
    assert await asyncio.to_thread(main, arguments) == 1  # there is such a file already
    assert "kept.jsonl.gz: cannot be written" in capsys.readouterr().err


async def test_nothing_stored_writes_no_file(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("ENCRYPTION_KEYS", KEY)
    out = tmp_path / "kept.jsonl"
    assert await asyncio.to_thread(main, ["savings", "export", "--out", str(out)]) == 1
    assert "no conversation is stored" in capsys.readouterr().err
    assert not out.exists()
