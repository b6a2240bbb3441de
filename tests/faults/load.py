"""A mixed load: streams, tool calls and whole answers over three protocols, each request marked."""

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2

CLIENTS = 8
PACE_SECONDS = 0.05
_TOOLS = [{"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}]
_MESSAGES_TOOLS = [{"name": "read", "input_schema": {"type": "object"}}]
_MODEL = "claude-sonnet-5-5"


@dataclass(frozen=True)
class Kind:
    """One kind of request: its path, what it adds to the body, and how a whole answer ends."""

    path: str
    text: str
    fields: dict[str, Any]
    ends_with: str

    def body(self, mark: str) -> dict[str, Any]:
        text = f"{mark} {self.text}"
        if self.path == "/v1/responses":
            return {"model": _MODEL, "input": text, "store": False, **self.fields}
        messages = [{"role": "user", "content": text}]
        return {"model": _MODEL, "max_tokens": 8192, "messages": messages, **self.fields}


_CHAT, _MESSAGES, _RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
_SLOW = "[[sim:deltas count=10 chars=8 interval=0.05]]"
KINDS = (
    Kind(_CHAT, "[[sim:text quick]]", {}, '"finish_reason":"stop"'),
    Kind(_CHAT, _SLOW, {"stream": True}, "[DONE]"),
    Kind(_CHAT, '[[sim:tool read {"path": "a"}]]', {"stream": True, "tools": _TOOLS}, "[DONE]"),
    Kind(_MESSAGES, _SLOW, {"stream": True}, "message_stop"),
    Kind(_MESSAGES, '[[sim:tool read {"path": "b"}]]', {"tools": _MESSAGES_TOOLS}, '"tool_use"'),
    Kind(_RESPONSES, _SLOW, {"stream": True}, "response.completed"),
)


@dataclass
class Outcome:
    """What became of one request. `fault` is empty for a whole answer."""

    mark: str
    began: float
    seconds: float
    fault: str = ""


@dataclass
class Load:
    """Clients that ask and ask until told to stop."""

    base_url: str
    api_key: str
    name: str
    outcomes: list[Outcome] = field(default_factory=list)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def run(self) -> None:
        """Until `stop`; every request that has begun is waited for."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(CLIENTS):
                tasks.create_task(self._client(number))

    def stop(self) -> None:
        """No new requests."""
        self._stopped.set()

    @property
    def whole(self) -> list[Outcome]:
        """Requests with a whole answer."""
        return [outcome for outcome in self.outcomes if not outcome.fault]

    @property
    def failed(self) -> list[Outcome]:
        """The others."""
        return [outcome for outcome in self.outcomes if outcome.fault]

    def p99_seconds(self) -> float:
        """Of whole answers."""
        took = sorted(outcome.seconds for outcome in self.whole)
        return took[int(0.99 * (len(took) - 1))] if took else 0.0

    async def _client(self, client: int) -> None:
        headers = {"authorization": f"Bearer {self.api_key}", "x-api-key": self.api_key}
        async with httpx2.AsyncClient(base_url=self.base_url, headers=headers, timeout=45) as http:
            for turn in itertools.count(client):
                if self._stopped.is_set():
                    return
                self.outcomes.append(await self._ask(http, KINDS[turn % len(KINDS)]))
                await asyncio.sleep(PACE_SECONDS)

    async def _ask(self, http: httpx2.AsyncClient, kind: Kind) -> Outcome:
        mark = f"{self.name}-{next(self._numbers)}."
        began = time.monotonic()
        fault = ""
        try:
            answer = await http.post(
                kind.path, json=kind.body(mark), headers={"x-session-id": mark}
            )
            if answer.status_code != 200:
                fault = f"HTTP {answer.status_code}"
            elif kind.ends_with not in answer.text:
                fault = "cut"
        except httpx2.HTTPError as error:
            fault = type(error).__name__
        return Outcome(mark, began, time.monotonic() - began, fault)
