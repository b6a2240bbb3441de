"""A session replayed in process: the gateway's own passes, both bills, failures named."""

import pytest

from gateway.policies import CachePolicy, ReductionPolicy
from gateway.protocols.model_fit import FitOptions
from gateway.savings.figures import summarize
from gateway.savings.replay import Outcome, Setting, answer_blocks, replay
from gateway.savings.session import RecordedRequest, RecordedUsage, Session
from gateway.structs import replace
from tests.unit.savings.bodies import LETTERS, SONNET, session

SETTING = Setting(SONNET, ReductionPolicy(), FitOptions(4096, True), LETTERS)
FILE = "\n".join(f"{number} is what this line says" for number in range(400))


def chat(count: int = 6) -> Session:
    return session(*(f"{FILE}\n\nquestion {number}" for number in range(count)))


async def test_a_conversation_costs_less_and_hides_nothing() -> None:
    done = []
    outcome = await replay(chat(), SETTING, progress=lambda number, of: done.append((number, of)))
    assert outcome.failures == []
    assert outcome.plain.requests == outcome.reduced.requests == 6
    assert outcome.plain.cache_read_tokens == outcome.plain.cache_write_5m_tokens == 0
    assert outcome.reduced.cache_read_tokens > 0
    assert outcome.reduced.input_usd < outcome.plain.input_usd / 2
    assert outcome.reduced.output_tokens == outcome.plain.output_tokens > 0
    assert outcome.told.hidden == outcome.told.bad_references == 0
    assert done == [(number, 6) for number in range(1, 7)]


async def test_the_first_requests_alone() -> None:
    outcome = await replay(chat(), SETTING, limit=2)
    assert outcome.plain.requests == 2


async def test_without_any_pass_both_cost_the_same() -> None:
    texts = replace(
        SETTING.policy.texts,
        references_chat="off",
        strip_boilerplate=False,
        diff_first=False,
    )
    policy = ReductionPolicy(texts=texts, cache=CachePolicy(enabled=False))
    outcome = await replay(chat(), replace(SETTING, policy=policy))
    assert outcome.reduced == outcome.plain


async def test_references_alone_send_less() -> None:
    policy = replace(SETTING.policy, cache=CachePolicy(enabled=False))
    outcome = await replay(chat(), replace(SETTING, policy=policy))
    assert outcome.reduced.sent_tokens < outcome.plain.sent_tokens / 2
    assert outcome.told.hidden == 0


async def test_the_append_log_helps_a_client_that_rewrites() -> None:
    requests = []
    talk: list[dict[str, str]] = []
    for number in range(6):
        files = {"role": "user", "content": f"{FILE}\nversion {number}"}
        asked = {"role": "user", "content": f"wish {number}"}
        seen = {"role": "assistant", "content": "I see."}
        answer = {"role": "assistant", "content": f"done {number}"}
        body = {"messages": [*talk, files, seen, asked]}
        requests.append(RecordedRequest(number * 20.0, body, answer))
        talk = [*talk, asked, answer]
    rewriting = Session("r", "rebuilt", "test", requests)
    usual = await replay(rewriting, SETTING)
    logged = await replay(rewriting, replace(SETTING, policy=ReductionPolicy(append_log=True)))
    assert logged.reduced.input_usd < usual.reduced.input_usd
    assert logged.told.hidden == 0


async def test_a_held_out_share_is_no_part_of_a_replay() -> None:
    policy = replace(SETTING.policy, holdout_share=1.0)
    outcome = await replay(chat(), replace(SETTING, policy=policy))
    assert outcome.reduced.cache_read_tokens > 0


async def test_a_request_that_cannot_be_served_is_named_and_left_out_of_both() -> None:
    broken = chat(3)
    broken.requests[1] = RecordedRequest(60.0, {"messages": [{"role": "martian"}]}, None)
    outcome = await replay(broken, SETTING)
    assert outcome.plain.requests == outcome.reduced.requests == 2
    (failure,) = outcome.failures
    assert failure.startswith("request 2: ")
    assert "messages[0]" in failure


@pytest.mark.parametrize("answer", [None, {"role": "assistant", "content": None}])
def test_an_answer_that_is_not_known_costs_nothing(answer: dict[str, object] | None) -> None:
    assert answer_blocks(answer, SETTING) == []


def test_answers_with_calls_are_counted_whole() -> None:
    function = {"name": "read", "arguments": '{"path": "a"}'}
    call = {"id": "c1", "type": "function", "function": function}
    answer = {"role": "assistant", "content": "Let me look.", "tool_calls": [call]}
    kinds = [block["type"] for block in answer_blocks(answer, SETTING)]
    assert kinds == ["text", "tool_use"]


async def test_what_the_log_says_was_billed_is_compared_at_the_same_prices() -> None:
    known = chat(2)
    known.requests[1] = replace(known.requests[1], usage=RecordedUsage(100, 800, 100, 0))
    outcome = await replay(known, SETTING)
    assert outcome.recorded.requests == 1
    assert outcome.recorded.input_usd == pytest.approx((100 * 2 + 800 * 0.1 + 100 * 2.5) / 1e6)
    assert outcome.recorded_plain.input_usd == pytest.approx(1000 * 2 / 1e6)
    (figures,) = summarize([outcome]).kinds
    assert figures.recorded_saved == pytest.approx(1 - 530 / 2000)
    assert summarize([await replay(chat(2), SETTING)]).total.recorded_saved is None


async def test_figures_by_kind_in_total_and_as_a_mean() -> None:
    first = await replay(chat(), SETTING)
    second = replace(await replay(chat(3), SETTING), id="s2", kind="other")
    empty = Outcome("s3", "other", failures=["request 1: no"])
    summary = summarize([first, second, empty])
    assert [(each.name, each.sessions) for each in summary.kinds] == [("chat", 1), ("other", 2)]
    assert summary.total.plain.requests == 9
    assert summary.total.failures == 1
    assert not summary.is_clean
    shares = [each.input_saved for each in summary.kinds]
    assert summary.mean.input_saved == pytest.approx(sum(shares) / 2)
    paid = first.reduced.input_usd + second.reduced.input_usd
    plain = first.plain.input_usd + second.plain.input_usd
    assert summary.total.input_saved == pytest.approx(1 - paid / plain)
    assert summarize([first]).is_clean
