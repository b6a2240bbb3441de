"""Thinking and cuts: what was made before a cut is gone, what is made after it stays legal."""

import copy

import pytest

from gateway.policies import ContextPolicy
from gateway.protocols.messages_form import text_block
from gateway.reduction.context_extract import extract
from gateway.reduction.context_tokens import estimated_tokens
from gateway.reduction.context_window import apply_cut, find_cuts, summary_chars
from gateway.turns.history import read_history
from gateway.turns.restore import restore
from gateway.turns.sending import prepare
from gateway.wire import JSONObject
from tests.support.pure_session import TOOLS, PureSession, model_named

POLICY = ContextPolicy(8_000)


class CutSession(PureSession):
    """A session whose requests are cut as the gateway does it."""

    cuts: int = 0

    def send(self, instruction: str = "") -> JSONObject:
        draft: JSONObject = {
            "system": [text_block(self.system)],
            "tools": TOOLS,
            "messages": copy.deepcopy(self.messages),
        }
        model = model_named(self.model)
        cut = find_cuts(draft["messages"], POLICY.max_tokens, estimated_tokens).current
        restored = restore(read_history(draft, self.seals), self.stored, model)
        body: JSONObject = {"model": self.model, **draft, "messages": restored.messages}
        if cut is not None:
            self.cuts += 1
            removed = draft["messages"][cut.head : cut.start]
            quoted = extract(removed, summary_chars(POLICY.max_tokens))
            body["messages"] = apply_cut(restored.messages, cut, quoted).messages
        sending = prepare(restored, body, model, body["messages"])
        self.sendings.append(sending)
        self.bodies.append(sending.body)
        return sending.body


@pytest.mark.parametrize("model", ["claude-sonnet-5-5", "claude-opus-4-6"])
def test_the_api_takes_the_thinking_of_a_session_with_cuts(model: str) -> None:
    session = CutSession(model=model)
    session.turn("tc", text="Mend the build.")
    most = 0
    for _ in range(60):
        session.results("output line\n" * 130)
        session.send()
        assert session.faults() == []
        most = max(most, len(session.thinking()))
        session.answer("tc")
    assert session.cuts > 20
    assert most > 5
    assert len(session.thinking()) > 0
