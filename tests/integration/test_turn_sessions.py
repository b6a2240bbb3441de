"""Whole sessions through the turn store against the simulator, which binds thinking as Claude does.

The upstream refuses a thinking block with a 400 when anything before it has changed; no session
here may see one, and each must keep the thinking that is still legal.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.protocols import openai_chat
from gateway.security.sealing import Sealer
from gateway.storage.turn_store import TurnTable
from gateway.storage.valkey import Valkey
from gateway.turns.conversation import Turns
from gateway.turns.store import TurnStore
from gateway.upstream.transport import UpstreamTransport
from gateway.wire import JSONObject
from tests.contract.harness.simulator import Simulator, running_simulator
from tests.support.chat_session import ChatSession

BOUND = ("claude-sonnet-5-5", "claude-opus-5-5", "claude-haiku-5-5")
OLDER = ("claude-opus-5", "claude-opus-4-6", "claude-sonnet-4-5")
CALL: JSONObject = {
    "type": "tool_use",
    "name": "read_file",
    "deltas": ['{"path": "src/a', '.py", "from": 1.0', ', "é": "\\u00e9"}'],
}
THOUGHT: JSONObject = {"type": "thinking", "thinking": "hm"}
REDACTED: JSONObject = {"type": "redacted_thinking"}


def words(text: str) -> JSONObject:
    return {"type": "text", "text": text}


# In the order a session goes through them; each a real shape of an agent's turn.
TOOL_TURNS = (
    [THOUGHT, words("I read it."), CALL],
    [THOUGHT, CALL, CALL],
    [REDACTED, THOUGHT, CALL],
    [THOUGHT, words("First this. "), THOUGHT, words("Then that."), CALL],
    [CALL],
)
TEXT_TURNS = (
    [THOUGHT, words("Done.")],
    [words("Done.")],
    [THOUGHT, words("One thing."), THOUGHT, words("Another thing.\n")],
)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running_simulator("--delta-delay", "0") as running:
        yield running


@pytest.fixture
async def turns(valkey_url: str, engine: AsyncEngine) -> AsyncIterator[Turns]:
    valkey = Valkey(valkey_url)
    await valkey.start()
    await valkey.call("FLUSHALL")
    yield Turns(_store(valkey, engine))
    await valkey.close()


def _store(valkey: Valkey, engine: AsyncEngine) -> TurnStore:
    return TurnStore(valkey, TurnTable(engine), Sealer([b"k" * 32]), ttl_seconds=3600)


@pytest.fixture
async def transport(simulator: Simulator) -> AsyncIterator[UpstreamTransport]:
    simulator.forget()
    async with UpstreamTransport(
        simulator.base_url, "key", first_byte_seconds=20, idle_seconds=20
    ) as running:
        yield running


async def exchange(session: ChatSession, simulator: Simulator, number: int) -> None:
    """A question and its tool loop: two calls, then text."""
    for step in range(2):
        simulator.script({"blocks": TOOL_TURNS[(number + step) % len(TOOL_TURNS)]})
    simulator.script({"blocks": TEXT_TURNS[number % len(TEXT_TURNS)]})
    await session.say(f"Task {number}")
    await session.return_results(f"contents {number}")
    await session.return_results("and more")


def statuses(session: ChatSession) -> set[int]:
    return {status for each in session.exchanges for status in each.statuses}


@pytest.mark.parametrize("model", [*BOUND, *OLDER])
async def test_p32_forty_turns_keep_all_thinking_and_see_no_400(
    turns: Turns, transport: UpstreamTransport, simulator: Simulator, model: str
) -> None:
    extra = {"reasoning_effort": "high"} if model in OLDER else {}
    session = ChatSession(turns, transport, model=model, extra=extra)
    for number in range(14):
        before = len(session.exchanges)
        await exchange(session, simulator, number)
        assert len(session.exchanges) == before + 3
    assert len(session.exchanges) > 40
    await session.say("thanks")
    made = sum(
        block["type"] in ("thinking", "redacted_thinking")
        for number in range(14)
        for blocks in (
            TOOL_TURNS[number % len(TOOL_TURNS)],
            TOOL_TURNS[(number + 1) % len(TOOL_TURNS)],
            TEXT_TURNS[number % len(TEXT_TURNS)],
        )
        for block in blocks
    )
    assert statuses(session) == {200}
    assert session.exchanges[-1].thinking() == made


async def test_a_client_that_edits_its_history_sees_no_400_and_keeps_what_is_legal(
    turns: Turns, transport: UpstreamTransport, simulator: Simulator
) -> None:
    session = ChatSession(turns, transport)
    for number in range(14):
        await exchange(session, simulator, number)
        if number == 4:
            session.messages[6]["content"] = "An edited question"
        if number == 7:
            said = [m for m in session.messages if m["role"] == "assistant" and m.get("content")]
            said[-1]["content"] = "An edited answer"
        if number == 9:
            session.system = "You are another agent."
        if number == 11:
            del session.messages[:8]
    assert len(session.exchanges) > 40
    assert statuses(session) == {200}
    # After each edit the thinking that was made since comes back.
    assert session.exchanges[-1].thinking() > 0
    for each in session.exchanges[2::3][:4]:
        assert each.thinking() > 0


async def test_texts_rewritten_by_passes_cost_no_400_and_only_what_cannot_be_legal(
    turns: Turns, transport: UpstreamTransport, simulator: Simulator
) -> None:
    session = ChatSession(turns, transport, rewrite=lambda text, _: text.upper())
    for number in range(6):
        await exchange(session, simulator, number)
    before = session.exchanges[-1].thinking()
    await session.say("go on")
    assert session.exchanges[-1].thinking() > before
    other = len(session.exchanges[-1].body["messages"]) - 5
    session.rewrite = lambda text, message: "(left out)" if message == other else text.upper()
    kept = session.exchanges[-1].thinking()
    await session.say("go on")
    assert 0 < session.exchanges[-1].thinking() < kept
    for number in range(3):
        await exchange(session, simulator, number)
    assert session.exchanges[-1].thinking() > kept
    assert statuses(session) == {200}


async def test_a_rewritten_conversation_is_restored_in_another_process(
    turns: Turns, transport: UpstreamTransport, simulator: Simulator, engine: AsyncEngine
) -> None:
    session = ChatSession(turns, transport, rewrite=lambda text, _: text.upper())
    session.extra = {"tool_choice": "required"}  # newer models are told so behind the newest text
    for number in range(4):
        await exchange(session, simulator, number)
        session.turns = Turns(_store(turns.store._valkey, engine))
    expected = session.exchanges[-1].thinking()
    await session.say("go on")
    assert session.exchanges[-1].thinking() > expected
    assert statuses(session) == {200}


async def test_a_session_goes_on_in_another_process_in_one_round_trip(
    turns: Turns, transport: UpstreamTransport, simulator: Simulator, engine: AsyncEngine
) -> None:
    session = ChatSession(turns, transport)
    for number in range(4):
        await exchange(session, simulator, number)
    expected = session.exchanges[-1].thinking()
    valkey = turns.store._valkey
    other = _store(valkey, engine)
    session.turns = Turns(other)
    before = valkey.round_trips
    conversation = session.turns.open("project-a", _draft(session))
    await conversation.load()
    assert valkey.round_trips - before == 1
    assert other.postgres_reads == 0
    await session.say("go on")
    assert session.exchanges[-1].thinking() >= expected
    assert statuses(session) == {200}


async def test_a_flushed_valkey_in_the_middle_of_a_session_loses_nothing(
    turns: Turns, transport: UpstreamTransport, simulator: Simulator, engine: AsyncEngine
) -> None:
    session = ChatSession(turns, transport)
    for number in range(4):
        await exchange(session, simulator, number)
        await session.turns.store.writes.flush()
        await turns.store._valkey.call("FLUSHALL")
        session.turns = Turns(_store(turns.store._valkey, engine))
    expected = session.exchanges[-1].thinking()
    await session.say("go on")
    assert session.exchanges[-1].thinking() > expected
    assert statuses(session) == {200}


async def test_turns_that_are_lost_for_good_cost_their_thinking_and_no_400(
    turns: Turns, transport: UpstreamTransport, simulator: Simulator, engine: AsyncEngine
) -> None:
    session = ChatSession(turns, transport)
    for number in range(3):
        await exchange(session, simulator, number)
    await turns.store._valkey.call("FLUSHALL")
    session.turns = Turns(_store(turns.store._valkey, engine))  # nothing was written behind
    for number in range(3):
        await exchange(session, simulator, number)
    assert statuses(session) == {200}
    assert session.exchanges[9].thinking() == 0
    assert session.exchanges[-1].thinking() >= 5


async def test_another_project_gets_nothing_of_it(
    turns: Turns, transport: UpstreamTransport, simulator: Simulator, engine: AsyncEngine
) -> None:
    session = ChatSession(turns, transport)
    await exchange(session, simulator, 0)
    stranger = session.fork()
    stranger.project = "project-b"
    await stranger.say("go on")
    assert stranger.exchanges[-1].thinking() == 0
    stranger.turns = Turns(_store(turns.store._valkey, engine))
    await stranger.say("go on")
    assert stranger.exchanges[0].thinking() == 0
    assert statuses(stranger) == {200}


async def test_a_model_switch_leaves_the_others_thinking_out(
    turns: Turns, transport: UpstreamTransport, simulator: Simulator
) -> None:
    session = ChatSession(turns, transport)
    for number, model in enumerate((*BOUND, BOUND[0], *BOUND[:2])):
        session.model = model
        await exchange(session, simulator, number)
    assert statuses(session) == {200}
    assert session.exchanges[-1].thinking() > 0


async def test_instructions_of_json_mode_stay_where_they_were(
    turns: Turns, transport: UpstreamTransport, simulator: Simulator
) -> None:
    session = ChatSession(turns, transport, extra={"response_format": {"type": "json_object"}})
    for number in range(4):
        await exchange(session, simulator, number)
    assert statuses(session) == {200}
    assert session.exchanges[-1].thinking() >= 8


async def test_a_refusal_of_thinking_is_repaired_once_and_remembered(
    turns: Turns, transport: UpstreamTransport, simulator: Simulator
) -> None:
    session = ChatSession(turns, transport)
    await exchange(session, simulator, 0)
    refusal = "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to"
    simulator.script(
        {"error": {"type": "invalid_request_error", "message": f"{refusal} a different thing."}}
    )
    await session.say("go on")
    assert session.exchanges[-1].statuses == [400, 200]
    await session.say("and on")
    assert session.exchanges[-1].statuses == [200]
    assert session.exchanges[-1].thinking() == 0
    assert session.exchanges[-1].conversation.restored is not None
    assert session.exchanges[-1].conversation.restored.reason == "refused"


async def test_thinking_a_client_sends_back_itself_needs_no_store(
    turns: Turns, transport: UpstreamTransport, simulator: Simulator, engine: AsyncEngine
) -> None:
    session = ChatSession(turns, transport, keeps_reasoning=True)
    for number in (0, 1):
        simulator.script({"blocks": TOOL_TURNS[number]}, {"blocks": TEXT_TURNS[0]})
        await session.say(f"Task {number}")
        await session.return_results()
    await turns.store._valkey.call("FLUSHALL")
    session.turns = Turns(_store(turns.store._valkey, engine))
    await session.say("go on")
    assert statuses(session) == {200}
    assert session.exchanges[-1].thinking() == 4


async def test_the_newest_turn_tells_how_it_was_asked_for(
    turns: Turns, transport: UpstreamTransport, simulator: Simulator
) -> None:
    session = ChatSession(turns, transport, extra={"reasoning_effort": "low"})
    await session.say("hello")
    await session.say("go on")
    habits = session.exchanges[-1].conversation.habits
    assert habits is not None
    assert (habits.model, habits.effort) == ("claude-sonnet-5-5", "low")


def _draft(session: ChatSession) -> JSONObject:
    system = {"role": "system", "content": session.system}
    request = {"model": session.model, "messages": [system, *session.messages]}
    return openai_chat.translate({**request, "tools": session.tools}).body
