"""Random ids, unique without asking the system."""

import os

from gateway.ids import random_hex


def test_ids_have_the_wanted_length_and_differ() -> None:
    ids = {random_hex(20) for _ in range(5_000)}
    assert len(ids) == 5_000
    assert {len(each) for each in ids} == {20}
    assert all(set(each) <= set("0123456789abcdef") for each in ids)


def test_a_forked_process_goes_on_with_other_ids() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, random_hex(24).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 100).decode()
    os.close(reading)
    os.close(writing)
    assert len(theirs) == 24
    assert theirs != random_hex(24)
