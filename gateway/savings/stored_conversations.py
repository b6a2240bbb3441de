"""Conversations out of the gateway's own store: the one place where whole prompts are kept.

These are the responses of the Responses API, sealed. One that names its predecessor goes on from
it; of clients that send their whole history each time, one goes on from another when it begins with
all that was said there.
"""

from collections.abc import AsyncIterator, Iterator

from gateway import wire
from gateway.errors import InvalidRequestError
from gateway.protocols.chat_dialects import chat_form
from gateway.protocols.shared.digests import chained, digest
from gateway.savings.session import MAX_TOKENS, RecordedRequest, Session
from gateway.storage.response_store import ResponseKey, ResponseTable
from gateway.storage.sealed import Seals
from gateway.turns.responses import StoredResponse, opened_response
from gateway.wire import JSON, JSONObject

KIND = "responses"


_Thread = list[ResponseKey]
"""A conversation: the keys of its responses in order."""


class StoredConversations:
    """Reads them. `skipped` counts responses that could not be opened or read."""

    def __init__(self, table: ResponseTable, seals: Seals) -> None:
        self._table = table
        self._seals = seals
        self.skipped = 0

    async def sessions(self, project: str | None = None) -> AsyncIterator[Session]:
        """Every conversation, one at a time: only its own texts are in memory."""
        for thread in await self._threads(project):
            session = await self._session(thread)
            if session is not None:
                yield session

    async def _threads(self, project: str | None) -> list[_Thread]:
        """All responses, each in its conversation, oldest conversation first."""
        threads: list[_Thread] = []
        by_last: dict[tuple[str, str], _Thread] = {}
        by_said: dict[bytes, _Thread] = {}
        for key in await self._table.keys(project):
            thread: _Thread | None = None
            after = b""
            if key.previous_id is not None:
                thread = by_last.pop((key.project, key.previous_id), None)
            else:
                said = await self._said(key)
                beginnings = said[:-1] if said else []
                thread = next((by_said.pop(b) for b in beginnings[::-1] if b in by_said), None)
                after = said[-1] if said else b""
            if thread is None:
                thread = []
                threads.append(thread)
            thread.append(key)
            by_last[key.project, key.id] = thread
            if after:
                by_said[after] = thread
        return threads

    async def _said(self, key: ResponseKey) -> list[bytes]:
        """Digests of the beginnings of what was said, the last one with the answer."""
        stored = await self._stored(key.project, key.id)
        request = None if stored is None else _request([stored])
        if request is None:
            return []
        state = digest(key.project.encode())
        states = []
        answer = [request.answer] if request.answer is not None else []
        for message in [*request.body["messages"], *answer]:
            state = chained(state, wire.dumps_sorted(message))
            states.append(state)
        return states

    async def _session(self, thread: _Thread) -> Session | None:
        chain: list[StoredResponse] = []
        first = thread[0]
        requests: list[RecordedRequest] = []
        begin = 0
        for key in thread:
            if key.previous_id is None:
                chain = []
            elif not chain:
                chain = await self._chain(key.project, key.previous_id)
            stored = await self._stored(key.project, key.id)
            request = None if stored is None else _request([*chain, stored])
            if stored is None or request is None:
                self.skipped += 1
                continue
            chain.append(stored)
            begin = begin or stored.created_at
            seconds = float(stored.created_at - begin)
            requests.append(RecordedRequest(seconds, request.body, request.answer))
        if not requests:
            return None
        return Session(f"{first.project}/{first.id}", KIND, "Responses API", requests)

    async def _chain(self, project: str, response_id: str) -> list[StoredResponse]:
        """What a response goes on from that belongs to another conversation as well."""
        rows = await self._table.find_chain(project, response_id)
        opened = [opened_response(self._seals, project, row.id, row.sealed) for row in rows[::-1]]
        return [each for each in opened if each is not None]

    async def _stored(self, project: str, response_id: str) -> StoredResponse | None:
        row = await self._table.find(project, response_id)
        return None if row is None else opened_response(self._seals, project, row.id, row.sealed)


def _request(chain: list[StoredResponse]) -> RecordedRequest | None:
    """The request of the last of `chain` as a chat completion; None when it cannot be said so."""
    newest = chain[-1]
    items: list[JSON] = []
    for earlier in chain[:-1]:
        items += [*earlier.input_items, *earlier.response["output"]]
    said: JSONObject = {"input": [*items, *newest.input_items]}
    for name in ("instructions", "tools"):
        if newest.response.get(name):
            said[name] = newest.response[name]
    try:
        form = chat_form(said).body
        output = chat_form({"input": newest.response["output"]}).body["messages"]
    except InvalidRequestError:
        return None
    body: JSONObject = {
        "messages": list(_plain(form["messages"])),
        "max_tokens": newest.response.get("max_output_tokens") or MAX_TOKENS,
    }
    if form.get("tools"):
        body["tools"] = form["tools"]
    answers = list(_plain(output))
    return RecordedRequest(0.0, body, answers[0] if answers else None)


def _plain(messages: list[JSONObject]) -> Iterator[JSONObject]:
    """Messages without the fields of items, what the assistant did at once in one message."""
    joined: JSONObject | None = None
    for message in messages:
        if message["role"] != "assistant":
            if joined is not None:
                yield joined
                joined = None
            named = {"role": message["role"], "content": _content(message.get("content"))}
            if "tool_call_id" in message:
                named["tool_call_id"] = message["tool_call_id"]
            yield named
            continue
        if joined is None:
            joined = {"role": "assistant", "content": None}
        text = _content(message.get("content"))
        if text:
            joined["content"] = text if joined["content"] is None else joined["content"] + text
        if message.get("tool_calls"):
            joined.setdefault("tool_calls", []).extend(map(_call, message["tool_calls"]))
    if joined is not None:
        yield joined


def _content(content: JSON) -> JSON:
    """Text where there is nothing else; parts otherwise."""
    if not isinstance(content, list):
        return content
    texts = [part.get("text") for part in content if isinstance(part, dict) and "text" in part]
    return "\n\n".join(map(str, texts)) if len(texts) == len(content) else content


def _call(call: JSONObject) -> JSONObject:
    return call if "type" in call else {"type": "function", **call}
