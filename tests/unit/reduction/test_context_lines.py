"""Lines that tell of failures: the cheap look misses none that the careful one finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.reduction.context_lines import _ERROR, error_lines, may_tell_of_error

FAILURES = [
    "ValueError: x", "java.lang.NullPointerException", "error", "FATAL", "Panic", "panicked",
    "Failed", "failing", "failure", "failures", "fail", "aborted", "Killed", "crash", "crashed",
    "Traceback", "unresolved", "undefined", "Unexpected", "mismatch", "deadlock", "OOM",
    "Segmentation fault", "core dumped", "Permission denied", "access denied", "No such file",
    "command not found", "Cannot find", "can't find", "could not", "cannot open", "timed out",
    "out of memory", "not ok 3", "exit 1", "exited with code 2", "exit status 3", "E0308",
    "TS2304", "E   assert 1 == 2", "✕ adds", "✗", "✖", "×", "●", "❌",
]  # fmt: skip
_words = st.sampled_from(
    [*FAILURES, "ok", "passed", "0", "exit", "E1", "terror", "not", "  ", "\n"]
)


@pytest.mark.parametrize("words", FAILURES)
def test_every_word_of_failure_is_found(words: str) -> None:
    for line in (words, words.lower(), words.upper()):
        assert error_lines(f"fine\n{line}\nfine") == [line]


@given(st.lists(_words | st.text(st.characters(max_codepoint=0x2FF), max_size=6), max_size=8))
def test_the_cheap_look_misses_nothing(words: list[str]) -> None:
    line = " ".join(words)
    assert may_tell_of_error(line) or _ERROR.search(line) is None


@pytest.mark.parametrize("line", ["FAİLED build", "test faıled", "\u212aılled", "unreſolved name"])
def test_letters_that_only_look_odd_in_lower_case_count(line: str) -> None:
    assert error_lines(line) == [line]


def test_a_trace_without_any_word_of_failure_is_none() -> None:
    assert error_lines("goroutine 7 [running]:\nmain.work()\n\t/x/main.go:12\nterritory") == []
