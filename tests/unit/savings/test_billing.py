"""Every rule of the bill by an example that was worked out by hand.

A token is a letter, prices are 2 and 10 dollars a million, reads 0.1, writes 2.5 and 4, the least
that is cached 100 tokens. The first block of a turn costs 4 tokens more than its text.
"""

import pytest

from gateway.catalog.models import Price
from gateway.savings.billing import Bill, RefusedError
from gateway.structs import replace
from tests.unit.savings.bodies import MODEL, PRICE, Body, billing, body, said, text, user


def tokens(bill: Bill) -> tuple[int, int, int, int]:
    """Plain input, read, written for 5 minutes, written for 1 hour."""
    return (
        bill.input_tokens,
        bill.cache_read_tokens,
        bill.cache_write_5m_tokens,
        bill.cache_write_1h_tokens,
    )


def test_without_marks_all_is_plain_input_every_time() -> None:
    bills = billing()
    for _ in range(2):
        bill = bills.bill(body(user(text(996))), 0.0, [text(50)])
        assert tokens(bill) == (1000, 0, 0, 0)
        assert bill.output_tokens == 50
        assert bill.input_usd == pytest.approx(1000 * 2 / 1e6)
        assert bill.output_usd == pytest.approx(50 * 10 / 1e6)


def test_a_mark_writes_and_the_next_request_reads() -> None:
    bills = billing()
    first = bills.bill(body(user(text(996, mark="5m"))), 0.0, [])
    assert tokens(first) == (0, 0, 1000, 0)
    assert first.input_usd == pytest.approx(1000 * 2.5 / 1e6)
    longer = body(user(text(996)), said(text(96)), user(text(196, mark="5m")), user())
    second = bills.bill(longer, 60.0, [])
    assert tokens(second) == (0, 1000, 300, 0)
    assert second.input_usd == pytest.approx((1000 * 0.1 + 300 * 2.5) / 1e6)


def test_what_stands_behind_the_last_mark_is_plain() -> None:
    bill = billing().bill(body(user(text(496, mark="5m"), text(70))), 0.0, [])
    assert tokens(bill) == (70, 0, 500, 0)


def test_reads_find_only_what_was_written_at_a_breakpoint() -> None:
    bills = billing()
    bills.bill(body(user(text(496), text(500, "y", mark="5m"))), 0.0, [])
    shorter = bills.bill(body(user(text(496, mark="5m"), text(70, "z"))), 1.0, [])
    assert tokens(shorter) == (70, 0, 500, 0)


@pytest.mark.parametrize(("size", "written"), [(95, 0), (96, 100)])
def test_less_than_the_least_is_not_cached(size: int, written: int) -> None:
    bill = billing().bill(body(user(text(size, mark="5m"))), 0.0, [])
    assert bill.cache_write_5m_tokens == written
    assert bill.sent_tokens == size + 4


@pytest.mark.parametrize(("mark", "seconds"), [("5m", 300.0), ("1h", 3600.0)])
def test_an_entry_lives_as_long_as_its_mark_says(mark: str, seconds: float) -> None:
    bills = billing()
    request = body(user(text(996, mark=mark)))
    bills.bill(request, 0.0, [])
    assert bills.bill(request, seconds, []).cache_read_tokens == 1000
    # That was a use, which counts from then on.
    assert bills.bill(request, 2 * seconds, []).cache_read_tokens == 1000
    assert bills.bill(request, 3 * seconds + 1, []).cache_read_tokens == 0


def test_a_mark_with_another_lifetime_does_not_make_an_entry_live_longer() -> None:
    bills = billing()
    bills.bill(body(user(text(996, mark="5m"))), 0.0, [])
    assert bills.bill(body(user(text(996, mark="1h"))), 100.0, []).cache_read_tokens == 1000
    assert bills.bill(body(user(text(996, mark="1h"))), 500.0, []).cache_write_1h_tokens == 1000


def test_one_hour_costs_twice_and_stands_before_five_minutes() -> None:
    bills = billing()
    request = body(user(text(496, mark="1h")), said(text(96)), user(text(196, "y", mark="5m")))
    first = bills.bill(request, 0.0, [])
    assert tokens(first) == (0, 0, 300, 500)  # B - A for an hour, C - B for five minutes
    assert first.input_usd == pytest.approx((500 * 4 + 300 * 2.5) / 1e6)
    later = bills.bill(request, 1000.0, [])
    assert tokens(later) == (0, 500, 300, 0)


def test_an_hour_behind_five_minutes_is_refused() -> None:
    request = body(user(text(496, mark="5m")), said(text(9)), user(text(196, mark="1h")))
    with pytest.raises(RefusedError, match="1 hour"):
        billing().bill(request, 0.0, [])


def test_five_breakpoints_are_refused() -> None:
    with pytest.raises(RefusedError, match="5 breakpoints"):
        billing().bill(body(user(*(text(100, mark="5m") for _ in range(5)))), 0.0, [])


@pytest.mark.parametrize(
    "block", [{"type": "text", "text": " "}, {"type": "thinking", "thinking": "t"}]
)
def test_a_mark_on_nothing_or_on_thinking_is_refused(block: Body) -> None:
    marked = {**block, "cache_control": {"type": "ephemeral"}}
    with pytest.raises(RefusedError, match="cache_control"):
        billing().bill(body(user(text(500), marked)), 0.0, [])


def blocks(count: int) -> list[Body]:
    return [text(10, chr(97 + number)) for number in range(count)]


@pytest.mark.parametrize(("between", "read"), [(19, 204), (20, 0)])
def test_a_breakpoint_looks_at_twenty_positions_itself_included(between: int, read: int) -> None:
    bills = billing()
    bills.bill(body(user(text(200, mark="5m"))), 0.0, [])
    request = body(user(text(200), *blocks(between - 1), text(30, mark="5m")))
    assert bills.bill(request, 1.0, []).cache_read_tokens == read


def result(name: str, tokens: int, mark: str | None = None) -> Body:
    block = {**text(0, mark=mark), "type": "tool_result", "tool_use_id": name}
    del block["text"]
    return {**block, "content": "r" * tokens}


def test_a_run_of_results_is_one_position() -> None:
    bills = billing()
    bills.bill(body(user(text(200, mark="5m"))), 0.0, [])
    calls = [{"type": "tool_use", "id": f"t{n}", "name": "read", "input": {}} for n in range(30)]
    results = [result(f"t{n}", 10) for n in range(29)]
    request = body(user(text(200)), said(*calls), user(*results, result("t29", 10, "5m")))
    assert bills.bill(request, 1.0, []).cache_read_tokens == 204


def test_an_earlier_breakpoint_has_a_window_of_its_own() -> None:
    bills = billing()
    bills.bill(body(user(text(200, mark="5m"))), 0.0, [])
    request = body(user(text(200, mark="5m"), *blocks(25), text(30, mark="5m")))
    bill = bills.bill(request, 1.0, [])
    assert tokens(bill) == (0, 204, 280, 0)


TOOL = {"name": "read", "input_schema": {"type": "object"}, "description": "d" * 200}


def cached(**fields: object) -> Body:
    tool = {**TOOL, "cache_control": {"type": "ephemeral"}}
    given = {"tools": [tool], "system": [text(300, "s", mark="5m")], **fields}
    return body(user(text(400, "u", mark="5m")), **given)


SEARCH = {"type": "web_search_20250305", "name": "web_search"}


@pytest.mark.parametrize(
    ("change", "levels"),
    [
        ({}, 3),
        ({"tool_choice": {"type": "none"}}, 2),
        ({"thinking": {"type": "adaptive"}}, 2),
        ({"output_config": {"effort": "low"}}, 2),
        ({"system": [text(300, "t", mark="5m")]}, 1),
        ({"speed": "fast"}, 1),
        ({"output_config": {"format": {"type": "json_schema", "schema": {}}}}, 1),
        (
            {"tools": [{**TOOL, "description": "e" * 200, "cache_control": {"type": "ephemeral"}}]},
            0,
        ),
        ({"tools": [SEARCH, {**TOOL, "cache_control": {"type": "ephemeral"}}]}, 0),
    ],
)
def test_what_a_change_invalidates(change: dict[str, object], levels: int) -> None:
    bills = billing()
    first = bills.bill(cached(), 0.0, [])
    tools = first.cache_write_5m_tokens - 300 - 404
    ends = (0, tools, tools + 300, tools + 300 + 404)
    assert bills.bill(cached(**change), 1.0, []).cache_read_tokens == ends[levels]


def test_an_image_anywhere_invalidates_the_messages() -> None:
    bills = billing()
    bills.bill(cached(), 0.0, [])
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A"}}
    with_image = cached()
    with_image["messages"][0]["content"].insert(0, image)
    assert bills.bill(with_image, 1.0, []).cache_read_tokens > 0
    messages_only = body(user(text(400, mark="5m")))
    bills.bill(messages_only, 0.0, [])
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    later = body(user(text(400, mark="5m")), said(text(5)), user(result))
    assert bills.bill(later, 1.0, []).cache_read_tokens == 0


def test_the_mark_itself_is_no_content() -> None:
    bills = billing()
    bills.bill(body(user(text(500, mark="5m"))), 0.0, [])
    later = body(user(text(500)), said(text(5)), user(text(50, mark="5m")))
    assert bills.bill(later, 1.0, []).cache_read_tokens == 504


def test_a_mark_at_the_top_stands_on_the_last_block() -> None:
    request = body(user(text(496)), cache_control={"type": "ephemeral", "ttl": "1h"})
    assert tokens(billing().bill(request, 0.0, [])) == (0, 0, 0, 500)


def test_a_long_prompt_has_the_price_of_the_whole_request() -> None:
    dear = Price(20.0, 100.0, 1.0, 25.0, 40.0)
    bills = billing(replace(MODEL, long_prompt_price=dear, long_prompt_tokens=1000))
    assert bills.bill(body(user(text(996))), 0.0, []).input_usd == pytest.approx(1000 * 2 / 1e6)
    above = bills.bill(body(user(text(997))), 0.0, [text(10)])
    assert above.input_usd == pytest.approx(1001 * 20 / 1e6)
    assert above.output_usd == pytest.approx(10 * 100 / 1e6)


def test_a_model_nobody_knows_the_price_of_cannot_be_billed() -> None:
    with pytest.raises(RefusedError, match="costs"):
        billing(replace(MODEL, price=None)).bill(body(user(text(5))), 0.0, [])


def test_bills_add_up_and_read_like_usage() -> None:
    total = Bill()
    bills = billing()
    for second in (0.0, 1.0):
        total.add(bills.bill(body(user(text(996, mark="1h"))), second, [text(7)]))
    assert total.requests == 2
    assert total.sent_tokens == 2000
    assert total.usage() == {
        "input_tokens": 0,
        "cache_creation_input_tokens": 1000,
        "cache_read_input_tokens": 1000,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1000},
        "output_tokens": 14,
    }
    assert total.usd == pytest.approx((1000 * PRICE.cache_write_1h + 1000 * 0.1 + 140) / 1e6)
