"""Long Responses sessions against the checks of the API, binding of thinking included."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import wire
from gateway.catalog.models import load_catalog
from gateway.protocols.model_fit import FitOptions, fit_to_model
from gateway.protocols.openai_responses import translate
from gateway.protocols.openai_responses_answer import answer
from gateway.protocols.openai_responses_plan import AnswerFrame, ResponseEnvelope
from gateway.protocols.shared.usage import UsageMeter
from simulator.messages_api import compose, prepare
from simulator.plan import plan_from
from simulator.state import Settings, new_state
from tests.support.responses_stream import CREATED, SEAL, request

HEADERS = {"anthropic-version": "2023-06-01"}
TOOLS = [
    {"type": "function", "name": "read", "parameters": {"type": "object", "properties": {}}},
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "mcp", "tools": [{"type": "function", "name": "go"}]},
]
SCRIPTS: list[list[dict[str, Any]]] = [
    [
        {"type": "thinking", "thinking": "look first"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "name": "read", "input": {"path": "ä.py", "n": 1.0}},
        {"type": "tool_use", "name": "mcp__go", "input": {}},
    ],
    [
        {"type": "redacted_thinking"},
        {"type": "tool_use", "name": "patch", "input": {"input": "*** Begin\n+π"}},
    ],
    [
        {"type": "thinking", "thinking": "one"},
        {"type": "tool_use", "name": "read", "input": {"path": "b"}},
        {"type": "thinking", "thinking": "two"},
        {"type": "tool_use", "name": "read", "input": {"path": "c"}},
    ],
    [{"type": "thinking", "thinking": "done"}, {"type": "text", "text": "Done."}],
    [{"type": "text", "text": "Just"}, {"type": "text", "text": " text"}],
]


class Session:
    """A stateless client of the Responses API, answered by the simulator's Claude."""

    def __init__(self, model: str) -> None:
        self.items: list[Any] = [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "go"},
        ]
        self.sent: list[Any] = []
        self._model = load_catalog().models[model]
        self._state = new_state(Settings(instant=True, prefix_binding=True))
        self._turns = 0

    def turn(self, script: list[dict[str, Any]]) -> None:
        """One request, which the API must accept, and its answer with results for the calls."""
        body = request(
            input=self.items,
            tools=TOOLS,
            store=False,
            include=["reasoning.encrypted_content"],
            reasoning={"summary": "auto"},
        )
        made = translate(wire.loads(wire.dumps(body)), None, SEAL)
        fitted = fit_to_model(made.draft, self._model, FitOptions(4096, show_reasoning=True))
        self.sent = fitted.body["messages"]
        upstream = wire.loads(wire.dumps(fitted.body))
        prepared = prepare(self._state, HEADERS, upstream, "account")
        message = compose(self._state, prepared, plan_from({"blocks": script})).message()
        envelope = ResponseEnvelope(f"resp_{self._turns}", lambda: CREATED, SEAL)
        frame = AnswerFrame(fitted.reply, made.plan, envelope)
        self._turns += 1
        self._take(wire.loads(wire.dumps(answer(message, UsageMeter(), frame, CREATED).response)))

    def _take(self, response: dict[str, Any]) -> None:
        output = response["output"]
        self.items += output
        calls = [item for item in output if item["type"].endswith("_call")]
        for call in calls:
            kind = f"{call['type']}_output"
            self.items.append({"type": kind, "call_id": call["call_id"], "output": "ok"})
        if not calls:
            self.items.append({"role": "user", "content": f"and then, {self._turns}?"})

    @property
    def thoughts(self) -> int:
        """How many thinking blocks the last request carried."""
        return sum(
            block["type"] in ("thinking", "redacted_thinking")
            for message in self.sent
            for block in message["content"]
        )


@pytest.mark.parametrize(
    "model", ["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-4-8"]
)
def test_forty_turns_keep_all_thinking_and_the_prefix(model: str) -> None:
    session = Session(model)
    before: list[Any] = []
    for turn in range(40):
        session.turn(SCRIPTS[turn % len(SCRIPTS)])
        assert session.sent[: len(before)] == before
        before = session.sent
    assert session.thoughts == sum(
        block["type"].endswith("thinking")
        for turn in range(39)
        for block in SCRIPTS[turn % len(SCRIPTS)]
    )


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_p32_a_client_that_loses_reasoning_is_never_refused(data: st.DataObject) -> None:
    session = Session("claude-opus-5-5")
    for turn in range(14):
        session.turn(SCRIPTS[turn % len(SCRIPTS)])
        reasoning = [
            index for index, item in enumerate(session.items) if item.get("type") == "reasoning"
        ]
        lost = data.draw(st.sampled_from([None, *reasoning]))
        if lost is not None:
            del session.items[lost]
