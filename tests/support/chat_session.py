"""A client of the chat API that keeps only what OpenAI's protocol has room for."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway import wire
from gateway.catalog.models import Catalog, Model, load_catalog
from gateway.protocols import openai_chat
from gateway.protocols.messages_form import without_thinking
from gateway.protocols.model_fit import FitOptions, fit_to_model
from gateway.protocols.openai_chat_answer import answer
from gateway.protocols.shared.assemble import MessageAssembler
from gateway.protocols.shared.draft import ReplyPlan
from gateway.protocols.shared.sse import SSEFramer
from gateway.reduction.texts import read_texts, write_texts
from gateway.turns.conversation import THINKING_REPAIR, Conversation, Turns
from gateway.upstream.transport import UpstreamTransport
from gateway.wire import JSONObject

READ: JSONObject = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Reads a file",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
    },
}
HEADERS = {"anthropic-version": "2023-06-01", "content-type": "application/json"}
OPTIONS = FitOptions(thinking_reserve_tokens=4096, show_reasoning=True)


@dataclass
class Exchange:
    """One request: what was sent upstream, and the status of each attempt."""

    body: JSONObject
    statuses: list[int]
    conversation: Conversation

    def thinking(self) -> int:
        """How many thinking blocks of earlier turns were sent."""
        return sum(
            block["type"] in ("thinking", "redacted_thinking")
            for message in self.body["messages"]
            if message["role"] == "assistant"
            for block in message["content"]
        )


@dataclass
class ChatSession:
    """A conversation; `messages` are the client's, and it may edit them.

    `rewrite` is a pass over texts: it gets each with the index of its message.
    """

    turns: Turns
    transport: UpstreamTransport
    project: str = "project-a"
    model: str = "claude-sonnet-5-5"
    system: str = "You are a coding agent."
    keeps_reasoning: bool = False
    rewrite: Callable[[str, int], str] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    tools: list[JSONObject] = field(default_factory=lambda: [READ])
    messages: list[JSONObject] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    catalog: Catalog = field(default_factory=load_catalog)

    async def say(self, text: str) -> JSONObject:
        """Adds a user message and gets the answer."""
        self.messages.append({"role": "user", "content": text})
        return await self.go_on()

    async def return_results(self, text: str = "contents") -> JSONObject:
        """Answers the calls of the newest message."""
        for call in self.messages[-1]["tool_calls"]:
            self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})
        return await self.go_on()

    async def go_on(self) -> JSONObject:
        """Sends the conversation as it stands and takes up the answer."""
        request = {
            "model": self.model,
            "messages": [{"role": "system", "content": self.system}, *self.messages],
            "tools": self.tools,
            **self.extra,
        }
        reply = await self._exchange(wire.loads(wire.dumps(request)))
        kept = ["role", "content", "tool_calls"]
        if self.keeps_reasoning:
            kept.append("reasoning_details")
        message = {name: reply[name] for name in kept if reply.get(name) is not None}
        self.messages.append(wire.loads(wire.dumps(message)))
        return reply

    async def _exchange(self, request: JSONObject) -> JSONObject:
        draft = openai_chat.translate(request)
        model = self._model(draft.asked_model)
        conversation = self.turns.open(self.project, draft.body)
        await conversation.load()
        draft.body["messages"] = conversation.restore(model)
        if self.rewrite is not None:
            texts = read_texts(draft.body, conversation.fixed)
            for text in texts:
                text.value = self.rewrite(text.value, text.message)
            draft.body = write_texts(draft.body, texts)
            conversation.rewritten(draft.body["messages"])
        fitted = fit_to_model(draft, model, OPTIONS)
        body = conversation.prepare(fitted.body, model)
        exchange = Exchange(body, [], conversation)
        self.exchanges.append(exchange)
        return await self._answer(exchange, model, fitted.reply)

    async def _answer(self, exchange: Exchange, model: Model, plan: ReplyPlan) -> JSONObject:
        conversation = exchange.conversation
        response = await self._post(exchange)
        if response.status == 400:
            error = await response.read_all()
            assert b"thinking" in error, error
            exchange.body = without_thinking(exchange.body)
            conversation.repaired(THINKING_REPAIR, exchange.body, model)
            response = await self._post(exchange)
        if response.status != 200:
            raise AssertionError(await response.read_all())
        conversation.expect(plan)
        assembler, framer = MessageAssembler(), SSEFramer()
        while data := await response.read():
            events = framer.feed(data)
            conversation.feed(events)
            assembler.feed(events)
        assert assembler.meter.completed
        conversation.answered()
        completion = answer(assembler.message, assembler.meter, plan, 1)
        message: JSONObject = completion["choices"][0]["message"]
        return message

    async def _post(self, exchange: Exchange) -> Any:
        body = wire.dumps(exchange.body)
        response = await self.transport.open("/v1/messages", body, HEADERS)
        exchange.statuses.append(response.status)
        return response

    def _model(self, name: str) -> Model:
        model = self.catalog.find(name)
        assert model is not None
        return model

    def fork(self) -> "ChatSession":
        """The same conversation, to go on in another way."""
        return ChatSession(
            self.turns,
            self.transport,
            project=self.project,
            model=self.model,
            system=self.system,
            keeps_reasoning=self.keeps_reasoning,
            extra=dict(self.extra),
            tools=self.tools,
            messages=copy.deepcopy(self.messages),
        )
