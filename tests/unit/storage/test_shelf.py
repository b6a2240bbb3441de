"""A small bounded memory: the last used first, each for its time."""

from gateway.storage.shelf import Shelf


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


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
