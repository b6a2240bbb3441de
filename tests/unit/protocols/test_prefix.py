"""What is known of a request's beginning spares work and changes nothing."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.errors import GatewayError
from gateway.protocols import openai_chat, openai_responses
from gateway.protocols.shared.prefix import Prefix, PrefixUse
from tests.support.responses_stream import SEAL
from tests.unit.protocols import test_openai_chat_properties as chats
from tests.unit.protocols import test_openai_responses_properties as responses

Body = dict[str, Any]
Translate = Callable[[Body, PrefixUse | None], Any]

CALL = {
    "role": "assistant",
    "content": "I look.",
    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "done"}
ASKED = {"role": "user", "content": "now"}
SAID = {"type": "message", "role": "assistant", "content": "I have looked."}


def chat(messages: list[Any], tools: list[Any] | None = None) -> Body:
    return {"model": "auto", "messages": messages, "tools": tools or []}


def response(items: list[Any], tools: list[Any] | None = None) -> Body:
    return {"model": "auto", "input": items, "tools": tools or []}


def translate_response(body: Body, prefix: PrefixUse | None) -> Any:
    return openai_responses.translate(body, None, SEAL, prefix)


def outcome(translate: Translate, body: Body, prefix: PrefixUse | None) -> Any:
    """The translation, or how it was refused."""
    try:
        return translate(copy.deepcopy(body), prefix)
    except GatewayError as error:
        return error.status, error.message, getattr(error, "param", None)


def shown(prefix: Prefix) -> bytes:
    """All that is in a prefix."""
    rounds, tools = prefix.rounds, prefix.tools
    of_rounds = [rounds.messages, rounds.uses, rounds.names_by_id, list(rounds.called)]
    others = [getattr(prefix, "namespaces", {}), getattr(prefix, "chain", "")]
    return wire.dumps(
        [prefix.system, of_rounds, tools.by_name, tools.names.originals, prefix.ignored, others]
    )


def assert_nothing_changes(translate: Translate, make: Any, earlier: Any, later: Any) -> None:
    """A request that begins with what an earlier one began with comes to the same either way."""
    use = PrefixUse()
    first = outcome(translate, make(earlier), use)
    assert first == outcome(translate, make(earlier), None)
    prefix = use.reached
    if prefix is None:
        return
    before = shown(prefix)
    following = make([*earlier[: prefix.count], *later])
    plain = outcome(translate, following, None)
    again = PrefixUse(known=prefix)
    assert outcome(translate, following, again) == plain
    if again.reached is not None:  # and what was reached from there is as good
        further = make([*following_items(following)[: again.reached.count], *later])
        third = PrefixUse(known=again.reached)
        assert outcome(translate, further, third) == outcome(translate, further, None)
    assert shown(prefix) == before


def following_items(body: Body) -> list[Any]:
    items: list[Any] = body.get("messages") or body["input"]
    return items


@given(chats._history, chats._history, chats._tools)
def test_a_chat_goes_on_as_if_it_had_begun(earlier: Any, later: Any, tools: Any) -> None:
    def make(messages: list[Any]) -> Body:
        return chat(messages, tools)

    assert_nothing_changes(openai_chat.translate, make, earlier, later)
    assert_nothing_changes(openai_chat.translate, make, [*earlier, CALL, RESULT], later)
    assert_nothing_changes(openai_chat.translate, make, [*earlier, ASKED, CALL], [CALL, *later])


@given(responses._items, responses._items, responses._tools)
def test_a_response_goes_on_as_if_it_had_begun(earlier: Any, later: Any, tools: Any) -> None:
    def make(items: list[Any]) -> Body:
        return response(items, tools)

    assert_nothing_changes(translate_response, make, earlier, later)
    assert_nothing_changes(translate_response, make, [*earlier, ASKED, SAID], later)
    assert_nothing_changes(translate_response, make, [*earlier, ASKED, SAID], [SAID, *later])


@given(st.integers(2, 12))
def test_each_turn_of_a_chat_reads_only_what_is_new(turns: int) -> None:
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, ASKED]
    known: Prefix | None = None
    for turn in range(turns):
        use = PrefixUse(known=known)
        draft = openai_chat.translate(chat(messages), use)
        assert draft == openai_chat.translate(chat(messages))
        if known is not None:
            old = known.rounds.messages
            assert all(map(lambda one, two: one is two, old, draft.body["messages"]))
        assert use.reached is None or use.reached.count == 2 * turn
        known = use.reached
        messages = [*messages, copy.deepcopy(CALL), copy.deepcopy(RESULT)]
    assert known is not None


MARK = {"type": "ephemeral"}
MARKED_SYSTEM = {
    "role": "system",
    "content": [{"type": "text", "text": "Be brief.", "cache_control": MARK}],
}
MARKED_TOOL = {"type": "function", "function": {"name": "f"}, "cache_control": MARK}


def marked(message: Body) -> Body:
    """As clients mark the newest messages: the message, or its last part."""
    if isinstance(message.get("content"), str) and message["role"] == "user":
        part = {"type": "text", "text": message["content"], "cache_control": MARK}
        return {**message, "content": [part]}
    return {**message, "cache_control": MARK}


def test_a_client_that_moves_its_marks_is_known_too() -> None:
    messages: list[Any] = [MARKED_SYSTEM, ASKED, CALL, RESULT, CALL, RESULT]
    known: Prefix | None = None
    for _ in range(4):
        newest = [*messages[:-2], *map(marked, messages[-2:])]
        use = PrefixUse(known=known)
        draft = openai_chat.translate(chat(newest, [MARKED_TOOL]), use)
        assert draft == openai_chat.translate(chat(newest, [MARKED_TOOL]))
        assert use.reached is not None
        assert use.reached.count == len(messages) - 2, "what is marked is read anew"
        known, before = use.reached, shown(use.reached)
        messages += [CALL, RESULT]
        assert shown(known) == before


@given(
    st.lists(st.sampled_from([ASKED, CALL, RESULT, marked(ASKED), marked(RESULT)]), min_size=3),
    st.lists(st.sampled_from([ASKED, CALL, marked(CALL), marked(ASKED), marked(RESULT)])),
    st.sampled_from(["5m", "1h", None]),
)
def test_marks_are_as_legal_behind_a_prefix(earlier: Any, later: Any, ttl: Any) -> None:
    def make(messages: list[Any]) -> Body:
        made = chat([MARKED_SYSTEM, *messages], [MARKED_TOOL])
        return {**made, "prompt_cache_options": {"ttl": ttl}} if ttl else made

    use = PrefixUse()
    openai_chat.translate(make(earlier), use)
    if use.reached is None:
        return
    before = shown(use.reached)
    following = make([*earlier[: use.reached.count - 1], *later])
    resumed = openai_chat.translate(following, PrefixUse(known=use.reached))
    assert resumed == openai_chat.translate(following)
    assert shown(use.reached) == before


def test_reasoning_that_leads_to_nothing_begins_no_round() -> None:
    reasoning = {"type": "reasoning", "summary": [], "encrypted_content": "foreign"}
    use = PrefixUse()
    translate_response(response([ASKED, reasoning, ASKED]), use)
    assert use.reached is None
    translate_response(response([ASKED, reasoning, SAID, ASKED]), use)
    assert use.reached is not None
    assert use.reached.count == 1


RESULT_ITEM = {"type": "function_call_output", "call_id": "c1", "output": "RESULT"}
CALL_ITEM = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "thinking", "text": "hmm"},
        {"type": "reasoning", "text": "hmm"},
        {"type": "refusal", "text": "no", "refusal": None},
        {"type": "output_text", "text": " \n"},
        {"type": "output_text", "text": ""},
        {"text": "hmm"},
    ],
)
def test_what_says_nothing_begins_no_round(part: Body) -> None:
    nothing = {"role": "assistant", "content": [part]}
    one = [ASKED, CALL_ITEM, ASKED, nothing, RESULT_ITEM]
    assert_nothing_changes(translate_response, response, one, [])
    assert_nothing_changes(translate_response, response, one, [SAID, ASKED])
    assert_nothing_changes(translate_response, response, [*one, SAID, ASKED], [SAID, RESULT_ITEM])


@pytest.mark.parametrize("kind", [["x"], {}, 1, None, True, ""])
def test_types_that_are_none_are_refused_in_the_same_words(kind: Any) -> None:
    for odd in ({"type": kind}, {"type": kind, "role": "user"}, {"type": kind, "id": "x"}):
        for items in ([ASKED, SAID, ASKED, odd], [ASKED, SAID, odd, SAID], [odd, SAID, SAID]):
            assert_nothing_changes(translate_response, response, items, [odd])
            assert_nothing_changes(translate_response, response, [ASKED, SAID, ASKED], items)


def test_what_depends_on_more_than_the_first_items_is_no_prefix() -> None:
    added = {"type": "additional_tools", "tools": [{"type": "function", "name": "f"}]}
    use = PrefixUse()
    translate_response(response([ASKED, SAID, ASKED, added]), use)
    assert use.reached is None
