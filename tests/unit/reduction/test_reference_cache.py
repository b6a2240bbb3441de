"""What is remembered between requests: continued, bounded, forgotten in time, never shared."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.reduction.reference_cache import Memory, ReferenceCache, Step
from gateway.reduction.reference_encoder import ReferenceEncoder
from tests.support.clock import Clock

LINES = [f"    value_{line} = compute(value, step={line})  #" for line in range(40)]
FILE = "\n".join(LINES)


def remembered(cache: ReferenceCache, steps: list[Step], conversation: str = "one") -> Memory:
    memory = Memory(ReferenceEncoder(runs=True))
    memory.extend(steps)
    cache.put(conversation, links(steps)[-1], memory)
    return memory


def links(steps: list[Step]) -> list[int]:
    return [hash(tuple(steps[:end])) for end in range(len(steps))]


def taken(cache: ReferenceCache, steps: list[Step], conversation: str = "one") -> Memory | None:
    return cache.take(conversation, steps, links(steps))


def test_a_request_takes_on_what_it_continues() -> None:
    cache = ReferenceCache(60)
    memory = remembered(cache, [FILE, 7])
    assert taken(cache, [FILE, 7, FILE + "\n#", "x" * 400]) is memory
    memory.extend([FILE, 7, FILE + "\n#"])
    assert memory.sent == [
        f"[ctx 1]\n{FILE}",
        "[ctx 2]\n«lines 1-40 = lines 1-40 of [ctx 1]»\n#",
    ]


def test_what_was_taken_is_not_given_to_another() -> None:
    cache = ReferenceCache(60)
    remembered(cache, [FILE])
    assert taken(cache, [FILE, "a"]) is not None
    assert taken(cache, [FILE, "b"]) is None
    assert len(cache) == 0


def test_the_longest_beginning_counts() -> None:
    cache = ReferenceCache(60)
    remembered(cache, [FILE])
    longer = remembered(cache, [FILE, FILE])
    assert taken(cache, [FILE, FILE, FILE]) is longer


def test_a_history_that_is_another_one_or_shorter_finds_nothing() -> None:
    cache = ReferenceCache(60)
    remembered(cache, [FILE, FILE + "\n#"])
    assert taken(cache, [FILE]) is None
    assert taken(cache, [FILE, FILE + "\n!"]) is None
    assert taken(cache, [8, FILE, FILE + "\n#"]) is None
    assert taken(cache, [FILE, FILE + "\n#"]) is not None


def written(steps: list[Step]) -> list[str]:
    """What is sent for these when nothing is remembered."""
    memory = Memory(ReferenceEncoder(runs=False))
    memory.extend(steps)
    return memory.sent


def test_a_request_that_differs_in_its_newest_text_takes_the_rest_on() -> None:
    cache = ReferenceCache(60)
    memory = Memory(ReferenceEncoder(runs=False))
    before: list[Step] = [FILE, "y" * 400]
    for newest in ("x" * 400, FILE, "z" * 400, FILE):
        memory.extend([*before, newest])
        assert memory.sent == written([*before, newest])
        cache.put("one", links([*before, newest])[-1], memory)
        assert taken(cache, [*before, "w" * 400]) is memory
        cache.put("one", links([*before, newest])[-1], memory)
        assert taken(cache, [*before, newest]) is memory
    assert not memory.begins(["other" * 100, "y" * 400])


@given(
    st.lists(st.sampled_from([FILE, FILE + "#", "short", "x" * 400, 1, 2]), max_size=8),
    st.lists(st.sampled_from([FILE, "x" * 400, "[ctx 1]\nquoted", 1]), min_size=1, max_size=3),
)
def test_what_was_taken_back_leaves_no_trace(steps: list[Step], newest: list[Step]) -> None:
    memory = Memory(ReferenceEncoder(runs=False))
    memory.extend(steps)
    size = memory.encoder.size
    for each in newest:
        memory.extend([*steps, each])
        if not memory.begins(steps):
            assert isinstance(each, int), "only a label that was claimed stays"
            return
        if each not in steps[-1:]:
            assert memory.encoder.size == size
        memory.extend(steps)
    assert memory.sent == written(steps)


def test_texts_that_were_taken_back_take_no_memory() -> None:
    memory = Memory(ReferenceEncoder(runs=False))
    shapes = memory.encoder._whole
    for number in range(5):
        memory.extend([FILE, f"{number}" * 400])
        assert len(shapes) == 2
        assert memory.begins([FILE])
        assert len(shapes) == 1


def test_links_are_believed_only_when_the_texts_are_the_same() -> None:
    cache = ReferenceCache(60)
    memory = remembered(cache, [FILE])
    assert cache.take("one", [FILE + "#"], links([FILE])) is None
    assert cache.take("one", [FILE], links([FILE])) is memory


def test_conversations_are_apart() -> None:
    cache = ReferenceCache(60)
    remembered(cache, [FILE])
    assert taken(cache, [FILE], "another") is None


def test_it_is_forgotten_in_time() -> None:
    clock = Clock()
    cache = ReferenceCache(60, clock=clock)
    remembered(cache, [FILE])
    remembered(cache, ["other" * 100], "two")
    clock.now = 59.9
    assert taken(cache, [FILE]) is not None
    clock.now = 60.0
    assert taken(cache, ["other" * 100], "two") is None


def test_what_nobody_asks_for_any_more_is_forgotten_as_well() -> None:
    clock = Clock()
    cache = ReferenceCache(60, clock=clock)
    remembered(cache, [FILE])
    clock.now = 30.0
    remembered(cache, ["other" * 100], "two")
    clock.now = 60.0
    cache.forget()
    assert len(cache) == 1
    assert taken(cache, ["other" * 100], "two") is not None


def test_the_least_used_go_first_and_what_is_too_large_is_not_kept() -> None:
    cache = ReferenceCache(60, max_entries=2)
    for name in ("one", "two", "three"):
        remembered(cache, [FILE], name)
    assert taken(cache, [FILE], "one") is None
    assert taken(cache, [FILE], "three") is not None
    small = ReferenceCache(60, max_bytes=20_000)
    remembered(small, [FILE])
    assert len(small) == 1
    remembered(small, ["x" * 20_000], "two")
    assert taken(small, ["x" * 20_000], "two") is None
    assert len(small) == 1


def test_of_requests_that_differ_in_their_newest_text_the_last_is_kept() -> None:
    cache = ReferenceCache(60)
    remembered(cache, [FILE, FILE + "1"])
    last = remembered(cache, [FILE, FILE + "2"])
    assert len(cache) == 1
    assert taken(cache, [FILE, FILE + "1"]) is None
    assert taken(cache, [FILE, FILE + "2"]) is last


def test_memory_counts_what_it_holds() -> None:
    encoder = ReferenceEncoder(runs=True)
    encoder.encode(FILE)
    first = encoder.size
    assert first > 2 * len(FILE)
    encoder.encode("é→" * 5_000)
    assert encoder.size - first > 4 * 10_000
