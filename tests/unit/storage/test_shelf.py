"""Small bounded memories: what was used last, each for its time; and goes saved up."""

from gateway.storage.shelf import Allowance, Shelf
from tests.support.clock import Clock


def test_a_shelf_keeps_what_was_used_last() -> None:
    shelf: Shelf[str, int] = Shelf(max_entries=2)
    shelf.put("a", 1, 10)
    shelf.put("b", 2, 10)
    assert shelf.get("a") == 1
    shelf.put("c", 3, 10)
    assert (shelf.get("a"), shelf.get("b"), shelf.get("c")) == (1, None, 3)


def test_p56_a_shelf_is_bounded_by_size_too() -> None:
    shelf: Shelf[int, str] = Shelf(max_entries=100, max_size=10)
    for number in range(20):
        shelf.put(number, "x", 10, size=3)
    assert len(shelf) == 3
    shelf.put(99, "too big", 10, size=11)
    assert len(shelf) == 3
    assert shelf.get(99) is None
    shelf.put(19, "too big now", 10, size=11)
    assert shelf.get(19) is None
    shelf.put(1, "x", 10, size=10)
    assert len(shelf) == 1
    assert shelf.get(1) == "x"


def test_what_is_on_a_shelf_expires() -> None:
    clock = Clock()
    shelf: Shelf[str, int] = Shelf(max_entries=2, clock=clock)
    shelf.put("a", 1, 5)
    clock.now = 4.9
    assert shelf.get("a") == 1
    clock.now = 5.0
    assert shelf.get("a") is None
    assert len(shelf) == 0


def test_an_allowance_is_saved_up_to_its_limit() -> None:
    clock = Clock()
    allowance = Allowance(2.0, 3.0, clock)
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]
    clock.now = 0.5
    assert [allowance.take() for _ in range(2)] == [True, False]
    clock.now = 100.0
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]


def test_the_last_used_come_first_and_what_is_too_old_does_not_come() -> None:
    clock = Clock()
    shelf: Shelf[str, int] = Shelf(max_entries=9, clock=clock)
    for number, key in enumerate("abc"):
        shelf.put(key, number, 10 + number)
    assert shelf.get("a") == 0
    assert list(shelf.newest()) == [("a", 0), ("c", 2), ("b", 1)]
    clock.now = 10.0
    assert list(shelf.newest()) == [("c", 2), ("b", 1)]


def test_a_renewed_value_stays_and_is_the_last_used() -> None:
    clock = Clock()
    shelf: Shelf[str, int] = Shelf(max_entries=2, max_size=10, clock=clock)
    shelf.put("a", 1, 10, 4)
    shelf.put("b", 2, 10, 4)
    clock.now = 9.0
    shelf.renew("a", 10)
    shelf.renew("z", 10)
    shelf.put("c", 3, 10, 4)
    assert [key for key, _ in shelf.newest()] == ["c", "a"]
    clock.now = 18.9
    assert shelf.get("a") == 1


def test_what_is_too_old_is_let_go_of_without_being_asked_for() -> None:
    clock = Clock()
    shelf: Shelf[str, int] = Shelf(max_entries=9, max_size=10, clock=clock)
    shelf.put("a", 1, 5, 6)
    shelf.put("b", 2, 10, 4)
    clock.now = 5.0
    shelf.forget()
    assert len(shelf) == 1
    shelf.put("c", 3, 10, 6)
    assert len(shelf) == 2, "its place is free"
