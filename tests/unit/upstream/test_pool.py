"""Which upstream a conversation asks."""

from collections import Counter

import pytest

from gateway.upstream.pool import Upstream, UpstreamPool
from gateway.upstream.specs import UpstreamSpec, read_upstreams
from gateway.upstream.transport import UpstreamTransport
from tests.support.clock import Clock

SECRET = "sk-canary-31c0"


def upstream(name: str, clock: Clock | None = None, **fields: float) -> Upstream:
    spec = UpstreamSpec(name, "http://127.0.0.1:1", "key", **fields)  # type: ignore[arg-type]
    transport = UpstreamTransport(spec.base_url, spec.api_key, first_byte_seconds=1, idle_seconds=1)
    return Upstream(spec, transport, clock or Clock(1000.0))


def firsts(pool: UpstreamPool, count: int = 2000) -> list[str]:
    return [pool.order(f"conversation {number}")[0].name for number in range(count)]


def test_p40_a_conversation_keeps_its_upstream_and_shares_follow_the_weights() -> None:
    pool = UpstreamPool([upstream("a"), upstream("b"), upstream("c", weight=2.0)])
    first = firsts(pool)
    assert first == firsts(pool)
    share = Counter(first)
    assert share["c"] == pytest.approx(1000, rel=0.1)
    assert share["a"] == pytest.approx(500, rel=0.15)


def test_an_upstream_more_takes_its_share_and_moves_nobody_else() -> None:
    before = firsts(UpstreamPool([upstream("a"), upstream("b")]))
    after = firsts(UpstreamPool([upstream("a"), upstream("b"), upstream("new")]))
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"new"}
    assert len(moved) == pytest.approx(667, rel=0.15)


def test_a_limited_upstream_comes_last_until_it_has_rested() -> None:
    clock = Clock(1000.0)
    resting, other = upstream("a", clock), upstream("b", clock)
    pool = UpstreamPool([resting, other])
    resting.cool(20.0)
    assert set(firsts(pool, 50)) == {"b"}
    assert [each.name for each in pool.order("x")] == ["b", "a"]
    clock.now += 20.1
    assert set(firsts(pool, 50)) == {"a", "b"}
    resting.cool(1e9)  # nobody is left alone for ever
    clock.now += 301
    assert not resting.is_cooling


def test_an_upstream_with_limits_has_room_until_they_are_reached() -> None:
    clock = Clock(1000.0)
    full = upstream("a", clock, requests_per_minute=2, concurrent_requests=1)
    full.asked()
    full.asked()
    assert not full.has_room
    clock.now += 61
    assert full.has_room
    full.transport.in_flight = 1
    assert not full.has_room


def test_there_must_be_an_upstream() -> None:
    with pytest.raises(ValueError, match="no upstream"):
        UpstreamPool([])


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (SECRET, "no JSON"),
        ("[]", "$: "),
        ('{"name": "a"}', "$: "),
        ("[1]", "[0]: "),
        ('[{"name": "a", "base_url": "http://h"}]', "[0].api_key: "),
        ('[{"name": "a b", "base_url": "http://h", "api_key": "%s"}]', "[0].name: "),
        ('[{"name": "a", "base_url": "ftp://%s", "api_key": "k"}]', "[0].base_url: "),
        ('[{"name": "a", "base_url": "http://h", "api_key": "%s", "wait": 1}]', "[0]: "),
        ('[{"name": "a", "base_url": "http://h", "api_key": "%s", "weight": 0}]', "[0].weight: "),
        ('[{"name": "a", "base_url": "http://h", "api_key": "%s", "weight": true}]', "[0].weight"),
        (
            '[{"name": "a", "base_url": "http://h", "api_key": "%s", "requests_per_minute": -1}]',
            "[0].requests_per_minute: ",
        ),
        (
            '[{"name": "a", "base_url": "http://h", "api_key": "%s"},'
            ' {"name": "a", "base_url": "http://h", "api_key": "k"}]',
            "[1].name: ",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_path_and_never_shown(text: str, path: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        read_upstreams(text.replace("%s", SECRET))
    assert str(refused.value).startswith(path)
    assert SECRET not in str(refused.value)


def test_upstreams_are_read_with_their_limits() -> None:
    [spec] = read_upstreams(
        '[{"name": "eu", "base_url": "https://h/v1", "api_key": "k", "weight": 3,'
        ' "requests_per_minute": 50.0}]'
    )
    assert spec == UpstreamSpec("eu", "https://h/v1", "k", 3.0, 50)
    assert "k" not in repr(spec).replace("key", "")
