"""All passes together: each request begins with the bytes of the one before it."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import Settings
from gateway.policies import ReductionPolicy
from gateway.projects import reduction_policy
from gateway.protocols.shared.digests import BlockDigests
from gateway.reduction.boilerplate import load_boilerplate
from gateway.reduction.opening import Opening, read_opening
from gateway.reduction.passes import Passes, chosen_passes, recorded_passes
from gateway.reduction.references import ReferenceCache, decode_references
from gateway.reduction.report import Effect
from gateway.reduction.rewriting import Rewriter
from gateway.reduction.tool_kinds import load_tool_kinds
from tests.unit.reduction.conversations import (
    Body,
    Client,
    calls,
    long,
    marks,
    result,
    rewriter,
    said,
    text,
    tool,
    user,
)

DEFAULTS = reduction_policy(Settings(_env_file=None))
TIGHT = reduction_policy(
    Settings(
        _env_file=None, system_max_chars=900, user_msg_max_chars=900, tool_result_max_chars=900
    )
)

_WORDS = st.sampled_from(
    [
        "fix it",
        "# Current Mode\nPLAN MODE\nMake a plan first and talk about it before you change it.\n\nx",
        *(long(seed, size) for seed in ("a", "b") for size in (400, 3_000)),
        "[ctx 1]\nlabel",
        "«lines 1-4 = lines 1-4 of [ctx 1]»",
        "\ud83d lone\r\nend\r",
    ]
)
_TURN = st.tuples(st.sampled_from(["read_file", "bash", "text"]), _WORDS)


def history(turns: list[tuple[str, str]]) -> list[Body]:
    messages = [user("Begin.\n" + long("task", 3_200))]
    for number, (kind, words) in enumerate(turns):
        if kind == "text":
            messages += [said(f"answer {number}"), user(words)]
        else:
            messages += [calls(f"c{number}", kind, path="a.py"), result(f"c{number}", words)]
    return messages


def bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: bare(item) for key, item in value.items() if key != "cache_control"}
    return [bare(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=60)
@given(st.lists(_TURN, max_size=7), st.sampled_from([DEFAULTS, TIGHT]), st.booleans())
def test_p37_each_request_begins_with_the_one_before(
    turns: list[tuple[str, str]], policy: ReductionPolicy, with_tools: bool
) -> None:
    client, stateless = Client(policy), Client(policy)
    system = [text(long("rules", 2_000))]
    messages = history(turns)
    for end in range(1, len(messages) + 1, 2):
        body: Body = {"system": system, "messages": messages[:end]}
        if with_tools:
            body["tools"] = [tool()]
        sent = client.send(body, end * 60.0)
        stateless.states.clear()
        assert bare(stateless.send(body, end * 60.0)) == bare(sent)
        assert len(marks(sent)) <= 4
    for before, after in zip(client.sent, client.sent[1:], strict=False):
        assert bare(after)["messages"][: len(before["messages"])] == bare(before)["messages"]
        assert bare(after)["system"] == bare(before)["system"]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.just("read_file"), _WORDS), max_size=7))
def test_without_caps_the_original_can_be_rebuilt(turns: list[tuple[str, str]]) -> None:
    turns = [(kind, words) for kind, words in turns if "«" not in words and "PLAN" not in words]
    body: Body = {"tools": [tool()], "messages": history(turns)}
    sent = bare(Client(DEFAULTS).send(body))
    sent.pop("system")
    assert decode_references(sent) == body


def test_held_out_conversations_are_the_plain_translation() -> None:
    body: Body = {"tools": [tool()], "system": [text(long("s"))], "messages": history([])}
    client = Client(DEFAULTS)
    assert client.send(body, held_out=True) is body
    assert client.reduction is not None
    assert client.reduction.report.held_out
    assert client.reduction.report.effects == []


def test_a_conversation_keeps_the_passes_it_began_with() -> None:
    client = Client(DEFAULTS)
    turns = [("read_file", long("a", 3_000)), ("read_file", long("a", 3_000))]
    body: Body = {"tools": [tool()], "messages": history(turns[:1])}
    client.send(body)
    client.policy = ReductionPolicy()
    client.policy = reduction_policy(Settings(_env_file=None, enable_file_hash_cache=False))
    sent = client.send({**body, "messages": history(turns)})
    assert "«identical to" in str(sent)


def test_the_report_tells_old_from_new() -> None:
    client = Client(DEFAULTS)
    turns = [("read_file", long("a", 3_000)), ("read_file", long("a", 3_000))]
    client.send({"tools": [tool()], "messages": history(turns)})
    client.send({"tools": [tool()], "messages": history([*turns, ("read_file", long("a", 3_000))])})
    assert client.reduction is not None
    (effect,) = client.reduction.report.effects
    assert isinstance(effect, Effect)
    assert effect.technique == "references"
    assert effect.removed_chars > effect.removed_new_chars > 2_900
    assert client.reduction.report.appends


def test_recorded_passes_come_back_and_unknown_ones_are_left_alone() -> None:
    passes = chosen_passes(DEFAULTS, has_tools=True, allowed=lambda technique: True)
    assert passes.references == "whole"
    assert recorded_passes({**passes.as_json(), "newer": 1}) == passes
    assert recorded_passes({}) == Passes()


def test_a_pass_that_loses_money_is_not_begun_with() -> None:
    passes = chosen_passes(DEFAULTS, has_tools=False, allowed=lambda name: name != "references")
    assert passes.references == "off"
    assert passes.caps == (40_000, 120_000, 20_000)


def pruning(tokens: int, **more: Any) -> ReductionPolicy:
    return reduction_policy(
        Settings(_env_file=None, enable_context_pruning=True, context_max_tokens=tokens, **more)
    )


def agent(turns: int) -> list[Body]:
    return history([("bash", long(f"r{number}", 2_500)) for number in range(turns)])


def test_what_a_block_repeats_is_still_there_after_the_caps() -> None:
    block = f"<user_info>\n{long('the user', 300)}\n</user_info>"
    system = text("\n".join([long("a", 700), block, long("b", 700)]))
    again = user(f"{block}\nHello")
    sent = Client(TIGHT).send({"system": [system], "messages": [again, said("Hi"), again]})
    assert block not in sent["system"][0]["text"]
    assert block in sent["messages"][0]["content"][0]["text"]
    assert "removed by the gateway" in sent["messages"][2]["content"][0]["text"]


def test_passes_are_chosen_by_what_the_client_sent() -> None:
    added = text("Respond only with JSON. " + long("a schema"))
    opening = user("Why?\n```\ncode\n```")
    restored = {**opening, "content": [*opening["content"], added]}
    passes = Passes(diff_first=True, references="runs")
    chosen = [
        rewriter().settled(
            passes, read_opening({"messages": [each, said("ok")]}, {id(added)}), BlockDigests()
        )
        for each in (opening, restored)
    ]
    assert chosen == [Passes(diff_first=True)] * 2


def test_a_long_conversation_is_cut_in_rare_steps_and_alike_in_between() -> None:
    client = Client(pruning(8_000))
    for count in range(1, 60):
        client.send({"tools": [tool()], "messages": agent(count)}, count * 5.0)
    breaks = 0
    for before, after in zip(client.sent, client.sent[1:], strict=False):
        start = bare(after)["messages"][: len(before["messages"])]
        breaks += start != bare(before)["messages"]
    assert 2 <= breaks <= 12
    last = bare(client.sent[-1])
    assert "removed by the gateway" in str(last["messages"][0])
    assert len(str(last)) < 12_000 * 4
    assert client.reduction is not None
    assert "context_pruning" in {each.technique for each in client.reduction.report.effects}


def test_old_results_are_shortened_once_the_cache_has_expired_and_stay_so() -> None:
    policy = reduction_policy(Settings(_env_file=None, enable_cold_compaction=True))
    client = Client(policy)
    client.send({"tools": [tool()], "messages": agent(20)}, 0.0)
    warm = client.send({"tools": [tool()], "messages": agent(21)}, 60.0)
    cold = client.send({"tools": [tool()], "messages": agent(22)}, 9_000.0)
    after = client.send({"tools": [tool()], "messages": agent(23)}, 9_060.0)
    assert "old result removed" not in str(warm)
    assert "old result removed" in str(cold)
    assert bare(after)["messages"][: len(cold["messages"])] == bare(cold)["messages"]
    assert "old result removed" not in str(cold["messages"][-10:])


def test_a_client_that_shortens_its_history_gets_its_new_results_whole() -> None:
    policy = reduction_policy(Settings(_env_file=None, enable_cold_compaction=True))
    client = Client(policy)
    client.send({"tools": [tool()], "messages": agent(20)}, 0.0, key="session")
    client.send({"tools": [tool()], "messages": agent(21)}, 9_000.0, key="session")
    assert client.last is not None
    assert client.last.compacted > 10
    messages = [user("Summary: go on."), calls("n", "bash"), result("n", long("new", 3_000))]
    sent = client.send({"tools": [tool()], "messages": messages}, 9_060.0, key="session")
    assert "removed by the gateway" not in str(sent["messages"])


def test_shortening_is_left_to_the_api_where_it_can() -> None:
    client = Client(pruning(8_000, context_strategy="anthropic_clear"))
    sent = client.send({"tools": [tool()], "messages": agent(40)})
    assert "removed by the gateway" not in str(sent["messages"])
    assert client.reduction is not None
    body, beta = client.reduction.delegate(sent)
    assert body["context_management"]["edits"][0]["type"] == "clear_tool_uses_20250919"
    assert beta == "context-management-2025-06-27"


class Rewrites(Rewriter):
    """Never sees early that there is nothing to rewrite."""

    def __init__(self) -> None:
        super().__init__(ReferenceCache(3600), load_tool_kinds(), load_boilerplate())

    def leaves_alone(self, passes: Passes, opening: Opening) -> bool:
        """Rewrites all the same."""
        return False


_OPENING_WORDS = st.sampled_from(
    ["Hi", long("task"), "Why?\n```\ncode\n```", "<user_info>\na\n</user_info>\n" * 2, "x" * 700]
)


@settings(deadline=None)
@given(
    system=st.lists(_OPENING_WORDS, max_size=2),
    said_words=st.lists(_OPENING_WORDS, min_size=1, max_size=2),
    returned=st.lists(_OPENING_WORDS, max_size=1),
    with_tools=st.booleans(),
    policy=st.sampled_from([ReductionPolicy(), TIGHT]),
)
def test_a_first_turn_is_left_alone_only_where_rewriting_changes_nothing(
    system: list[str],
    said_words: list[str],
    returned: list[str],
    with_tools: bool,
    policy: ReductionPolicy,
) -> None:
    content = [*map(text, said_words), *(result("c", words)["content"][0] for words in returned)]
    body: Body = {"messages": [{"role": "user", "content": content}]}
    body["system"], body["tools"] = list(map(text, system)), [tool()] if with_tools else []
    early, always = Client(policy), Client(policy, rewriter=Rewrites())
    assert early.send(body) == always.send(body)
    assert early.reduction is not None
    assert always.reduction is not None
    assert early.reduction.report == always.reduction.report
    assert early.states == always.states
