"""Conversations from request to request, in a process whose Valkey is away."""

from dataclasses import dataclass, field
from typing import Any

from gateway.context import Caller, Project, RequestContext
from gateway.pipeline.conversations import Conversation, Conversations
from gateway.policies import ReductionPolicy, TextPolicy
from gateway.protocols.openai_chat import translate
from gateway.reduction.context_cut import ContextCuts
from gateway.reduction.context_summary import SummaryStore
from gateway.reduction.log_store import LogStore
from gateway.reduction.state_store import StateStore
from gateway.security.sealing import Sealer
from gateway.storage.valkey import Valkey
from tests.unit.reduction.conversations import SONNET, long, rewriter

PLAIN = TextPolicy(diff_first=False)
LOGGED = ReductionPolicy(texts=PLAIN, append_log=True)
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
EXAMPLE = [
    {"role": "user", "content": "Change the greeting."},
    {"role": "assistant", "content": "I have changed it."},
]


def asked(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def said(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


@dataclass
class Requests:
    """The conversations of one process; each request comes a second after the one before."""

    policy: ReductionPolicy = LOGGED
    now: float = 0.0
    conversations: Conversations = field(init=False)
    last: Conversation = field(init=False)

    def __post_init__(self) -> None:
        valkey, seals = Valkey("redis://127.0.0.1:1/0"), Sealer([b"k" * 32])
        self.conversations = Conversations(
            valkey,
            StateStore(valkey, ttl_seconds=3600),
            LogStore(valkey, seals, ttl_seconds=3600),
            rewriter(),
            ContextCuts(SummaryStore(valkey, seals, ttl_seconds=3600)),
            clock=lambda: self.now,
        )

    async def send(
        self, messages: list[Any], *, caller: str = "me", key: str | None = None, **fields: Any
    ) -> list[Any]:
        """The messages that go upstream."""
        self.now += 1
        project = Project("web", reduction=self.policy)
        headers = {} if key is None else {"x-session-id": key}
        context = RequestContext(
            "r", "chat", headers, 0.0, Caller(project, caller, frozenset({"chat"}))
        )
        draft = translate({"model": SONNET.id, "messages": messages, **fields})
        self.last = conversation = self.conversations.open(context, draft)
        conversation.shared.send()
        await conversation.load()
        reduction = await conversation.begin(draft, SONNET)
        body = reduction.settle(draft.body, conversation.digests)
        body = reduction.rewrite(body, conversation.digests)
        reduction.mark(body, conversation.digests)
        conversation.remember(100)
        sent: list[Any] = body["messages"]
        return sent


def texts(messages: list[Any]) -> list[tuple[str, str]]:
    return [(each["role"], block["text"]) for each in messages for block in each["content"]]


async def test_a_client_that_rewrites_is_continued_by_its_log() -> None:
    requests = Requests()
    await requests.send([*EXAMPLE, asked("files 1"), said("I see."), asked("first")])
    sent = await requests.send(
        [*EXAMPLE, asked("first"), said("done"), asked("files 2"), said("I see."), asked("second")]
    )
    assert [text for _, text in texts(sent)] == [
        *("Change the greeting.", "I have changed it.", "files 1", "I see.", "first"),
        *("done", "files 2", "second"),
    ]


async def test_requests_in_parallel_keep_their_own_words() -> None:
    requests = Requests()
    opening = [asked("begin"), said("ok")]
    for question in ("one", "other"):
        await requests.send([*opening, asked(question)])
    for question in ("one", "other"):
        went_on = [*opening, asked(question), said("done"), asked("go on")]
        sent = texts(await requests.send(went_on))
        assert [text for _, text in sent] == ["begin", "ok", question, "done", "go on"]


async def test_a_history_of_equal_length_is_not_taken_for_the_same() -> None:
    requests = Requests()
    opening = [asked("begin"), said("ok"), asked("one")]
    await requests.send([*opening, said("fine"), asked("two")])
    await requests.send([asked("begin"), said("nothing"), asked("three")])
    longer = [*opening, said("done"), asked("more"), said("hm"), asked("three")]
    assert ("user", "one") in texts(await requests.send(longer))


async def test_callers_get_no_words_of_each_other() -> None:
    requests = Requests()
    question = asked("run the tests")
    await requests.send([*EXAMPLE, asked("my secret file"), said("I see."), question])
    theirs = [*EXAMPLE, question, said("done"), asked("and again")]
    sent = await requests.send(theirs, caller="somebody else")
    assert "secret" not in str(sent)
    assert len(texts(sent)) == len(theirs)


async def test_a_first_question_under_a_shared_key_begins_a_log_of_its_own() -> None:
    requests = Requests()
    theirs = [asked("Hi"), said("Hello"), asked("my secret is 7"), said("I see."), asked("Hi")]
    await requests.send(theirs, key="app")
    mine = f"Hi\n{long('mine', 300)}"
    sent = await requests.send([asked(mine)], key="app")
    assert texts(sent) == [("user", mine)]


async def test_with_tools_there_is_no_log() -> None:
    requests = Requests()
    await requests.send([asked("Hi")], key="session")
    assert requests.last.is_logged
    await requests.send([asked("Hi"), said("Hello"), asked("more")], key="session", tools=[TOOL])
    assert not requests.last.is_logged


async def test_marks_of_earlier_requests_do_not_add_up_in_a_log() -> None:
    requests = Requests()
    history: list[Any] = []
    for number in range(6):
        part = {"type": "text", "text": f"question {number}"}
        marked = {**part, "cache_control": {"type": "ephemeral"}}
        sent = await requests.send([*history, {"role": "user", "content": [marked]}])
        history += [{"role": "user", "content": [part]}, said("ok")]
    carrying = [block for each in sent for block in each["content"] if "cache_control" in block]
    assert [block["text"] for block in carrying] == ["question 5"]
