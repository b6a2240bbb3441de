"""Token counters of one answer and their OpenAI form."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.shared.usage import UsageMeter, openai_usage

counts = st.one_of(st.none(), st.integers(0, 10**9))


def started(**usage: Any) -> UsageMeter:
    meter = UsageMeter()
    meter.on_message_start({"id": "msg_1", "model": "claude-opus-5-5", "usage": usage})
    return meter


def test_start_names_message_and_model() -> None:
    meter = started(input_tokens=3)
    assert (meter.message_id, meter.upstream_model) == ("msg_1", "claude-opus-5-5")
    assert (meter.started, meter.completed, meter.stop_reason) == (True, False, None)


def test_the_last_message_delta_wins() -> None:
    meter = started(input_tokens=3, output_tokens=8)
    meter.on_message_delta({"delta": {}, "usage": {"output_tokens": 20}})
    meter.on_message_delta(
        {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 31, "input_tokens": 4}}
    )
    assert (meter.input_tokens, meter.output_tokens, meter.stop_reason) == (4, 31, "end_turn")


def test_a_reported_zero_is_a_count_and_null_is_not() -> None:
    meter = started(input_tokens=3, output_tokens=8, cache_read_input_tokens=5)
    meter.on_message_delta(
        {
            "delta": {"stop_reason": "refusal"},
            "usage": {"output_tokens": 0, "input_tokens": None, "cache_read_input_tokens": None},
        }
    )
    assert (meter.input_tokens, meter.output_tokens, meter.cache_read_tokens) == (3, 0, 5)
    assert meter.estimated_output_tokens == 0


def test_cache_writes_are_kept_by_lifetime() -> None:
    meter = started(
        cache_creation_input_tokens=300,
        cache_creation={"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
    )
    assert (meter.cache_write_5m_tokens, meter.cache_write_1h_tokens) == (100, 200)
    meter.on_message_delta({"delta": {}, "usage": {"cache_creation_input_tokens": 350}})
    assert (meter.cache_write_5m_tokens, meter.cache_write_1h_tokens) == (150, 200)
    assert meter.cache_write_tokens == 350


def test_cache_writes_without_a_lifetime_count_as_five_minutes() -> None:
    meter = started(cache_creation_input_tokens=300, cache_creation=None)
    assert (meter.cache_write_5m_tokens, meter.cache_write_1h_tokens) == (300, 0)


def test_everything_a_price_depends_on_is_kept() -> None:
    meter = started(
        input_tokens=1,
        service_tier="priority",
        speed="fast",
        inference_geo="us",
        server_tool_use={"web_search_requests": 1},
    )
    meter.on_message_delta(
        {
            "delta": {"stop_reason": "end_turn"},
            "usage": {
                "output_tokens": 9,
                "output_tokens_details": {"thinking_tokens": 4},
                "server_tool_use": {"web_search_requests": 2},
            },
        }
    )
    assert (meter.service_tier, meter.speed, meter.inference_geo) == ("priority", "fast", "us")
    assert (meter.web_search_requests, meter.thinking_tokens) == (2, 4)


def test_compaction_is_added_once_the_answer_is_complete() -> None:
    meter = started(input_tokens=10)
    iterations = [
        {"type": "message", "input_tokens": 10, "output_tokens": 5},
        {
            "type": "compaction",
            "input_tokens": 1000,
            "output_tokens": 70,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 2,
        },
    ]
    meter.on_message_delta(
        {
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 5, "iterations": iterations},
        }
    )
    meter.on_stop()
    meter.on_stop()
    assert (meter.input_tokens, meter.output_tokens) == (1010, 75)
    assert (meter.cache_read_tokens, meter.cache_write_tokens) == (3, 2)


def test_nonsense_counts_are_ignored() -> None:
    meter = started(input_tokens=5)
    meter.on_message_delta(
        {
            "delta": None,
            "usage": {"input_tokens": "7", "output_tokens": -1, "output_tokens_details": []},
        }
    )
    meter.on_message_delta({"usage": {"input_tokens": True}})
    assert (meter.input_tokens, meter.output_tokens, meter.thinking_tokens) == (5, 0, 0)


def test_a_missing_usage_is_zero() -> None:
    meter = UsageMeter()
    meter.on_message_start({})
    assert (meter.prompt_tokens, meter.estimated_output_tokens) == (0, 0)


def test_openai_usage_counts_cached_input_as_prompt() -> None:
    meter = started(input_tokens=10, cache_read_input_tokens=1000, cache_creation_input_tokens=200)
    meter.on_message_delta(
        {"usage": {"output_tokens": 50, "output_tokens_details": {"thinking_tokens": 30}}}
    )
    assert openai_usage(meter) == {
        "prompt_tokens": 1210,
        "completion_tokens": 50,
        "total_tokens": 1260,
        "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 200},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }


@given(uncached=counts, read=counts, written=counts, output=counts)
def test_openai_usage_always_adds_up(
    uncached: int | None, read: int | None, written: int | None, output: int | None
) -> None:
    meter = started(
        input_tokens=uncached,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        output_tokens=output,
    )
    usage = openai_usage(meter)
    details = usage["prompt_tokens_details"]
    assert usage["prompt_tokens"] == (uncached or 0) + (read or 0) + (written or 0)
    assert details["cached_tokens"] + details["cache_write_tokens"] <= usage["prompt_tokens"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + (output or 0)
