"""Prompt cache accounting."""

from typing import Any

import pytest

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
MODEL = "claude-sonnet-4-6"  # 1,024 tokens at least; 1.1 tokens per counted token


def text(value: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **more}


def body(world: Any, *blocks: Any, **fields: Any) -> dict[str, Any]:
    values = {"model": MODEL, "messages": [{"role": "user", "content": list(blocks)}], **fields}
    made: dict[str, Any] = world.body(**values)
    return made


def split(usage: dict[str, Any]) -> tuple[int, int, int]:
    return (
        usage["cache_read_input_tokens"],
        usage["cache_creation"]["ephemeral_5m_input_tokens"],
        usage["cache_creation"]["ephemeral_1h_input_tokens"],
    )


def test_the_second_request_reads_what_the_first_wrote(world: Any, words: Any) -> None:
    request = body(world, text(words(2000), cache_control=MARK))
    first = world.usage(request)
    second = world.usage(request)
    assert split(first)[0] == 0
    assert first["cache_creation_input_tokens"] > 2000
    assert split(second) == (first["cache_creation_input_tokens"], 0, 0)
    assert first["input_tokens"] == second["input_tokens"] == 0


def test_below_the_minimum_nothing_is_cached(world: Any, words: Any) -> None:
    request = body(world, text(words(500), cache_control=MARK))
    for _ in range(2):
        usage = world.usage(request)
        assert split(usage) == (0, 0, 0)
        assert usage["input_tokens"] > 500


@pytest.mark.parametrize(("ttl", "lives"), [(MARK, 300), (HOUR, 3600)])
def test_an_entry_lives_from_the_start_of_its_last_use(
    world: Any, words: Any, ttl: dict[str, str], lives: int
) -> None:
    request = body(world, text(words(2000), cache_control=ttl))
    world.usage(request)
    for _ in range(3):
        world.now += lives - 1
        assert split(world.usage(request))[0] > 0, "a hit refreshes the entry"
    world.now += lives + 1
    assert split(world.usage(request))[0] == 0


def test_a_growing_conversation_reads_its_past_and_writes_the_new_part(
    world: Any, words: Any
) -> None:
    turns = [{"role": "user", "content": [text(words(2000))]}]
    first = world.usage(world.body(model=MODEL, messages=turns, cache_control=MARK))
    turns += [
        {"role": "assistant", "content": words(100)},
        {"role": "user", "content": words(200)},
    ]
    second = world.usage(world.body(model=MODEL, messages=turns, cache_control=MARK))
    assert split(second)[0] == first["cache_creation_input_tokens"]
    assert 300 < split(second)[1] < 400
    assert second["input_tokens"] == 0


@pytest.mark.parametrize(("added", "found"), [(19, True), (20, False)])
def test_the_look_back_ends_after_twenty_blocks(
    world: Any, words: Any, added: int, found: bool
) -> None:
    start = text(words(2000))
    world.usage(body(world, {**start, "cache_control": MARK}))
    more = [text(f"part {index}") for index in range(added)]
    more[-1]["cache_control"] = MARK
    assert (split(world.usage(body(world, start, *more)))[0] > 0) is found


def test_mixed_lifetimes_are_split_at_the_last_hour_marker(world: Any, words: Any) -> None:
    request = body(
        world,
        text(words(1000), cache_control=MARK),
        system=[text(words(2000), cache_control=HOUR)],
    )
    read, short, long = split(world.usage(request))
    assert read == 0
    assert 1000 < short < 1200
    assert 2100 < long < 2300


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"tool_choice": {"type": "none"}}, "system"),
        ({"thinking": {"type": "adaptive"}}, "system"),
        ({"output_config": {"effort": "low"}}, "system"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "null"}}}},
            "tools",
        ),
        ({"system": [text("other", cache_control=MARK)]}, "tools"),
        ({"tools": []}, ""),
        ({"model": "claude-opus-4-6"}, ""),
    ],
)
def test_changes_invalidate_their_level_and_the_later_ones(
    world: Any, words: Any, change: dict[str, Any], kept: str
) -> None:
    schema = {"type": "object", "properties": {}}
    tool = {"name": "t", "description": words(5000), "input_schema": schema, "cache_control": MARK}
    fields: dict[str, Any] = {
        "tools": [tool],
        "system": [text(words(5000), cache_control=MARK)],
    }
    message = text(words(5000), cache_control=MARK)
    world.usage(body(world, message, **fields))
    whole = split(world.usage(body(world, message, **fields)))[0]
    read = split(world.usage(body(world, message, **{**fields, **change})))[0]
    expected = {"": (0, 0), "tools": (0.3, 0.4), "system": (0.6, 0.7)}[kept]
    assert expected[0] * whole <= read <= expected[1] * whole


def test_accounts_do_not_share_entries(world: Any, words: Any) -> None:
    request = body(world, text(words(2000), cache_control=MARK))
    world.usage(request, account="a")
    assert split(world.usage(request, account="b"))[0] == 0


def test_markers_are_not_content_and_strings_equal_text_blocks(world: Any, words: Any) -> None:
    world.usage(body(world, text(words(2000), cache_control=MARK), text("tail")))
    moved = world.body(
        model=MODEL,
        messages=[
            {"role": "user", "content": words(2000)},
            {"role": "user", "content": [text("tail", cache_control=MARK)]},
        ],
    )
    assert split(world.usage(moved))[0] > 2000


def test_prewarming_writes_and_generates_nothing(world: Any, words: Any) -> None:
    request = body(world, text(words(2000), cache_control=MARK))
    warm = world.answer({**request, "max_tokens": 0}, {"blocks": []})
    assert warm["content"] == []
    assert warm["usage"]["output_tokens"] == 0
    assert split(world.usage(request))[0] > 2000
