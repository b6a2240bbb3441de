"""What the headers say of a request."""

from gateway.reduction.ledger import reduction_headers
from gateway.reduction.report import ReductionReport


def test_what_was_done_is_told() -> None:
    report = ReductionReport(marks=3, lifetime="5m", moved_lines=1)
    report.note("references", 1234, 200)
    report.note("caps", 300, 300)
    report.note("caps", 100, 0)
    report.note("diff_first", -250, -250)
    assert reduction_headers(report) == {
        "X-Reduction": "1",
        "X-Reduction-Detail": (
            "references=-1234c; caps=-400c; diff_first=+250c; marks=3; ttl=5m; moved=1"
        ),
    }


def test_an_untouched_prompt_is_said_to_be_one() -> None:
    assert reduction_headers(ReductionReport()) == {"X-Reduction": "0"}


def test_marks_of_the_client_are_no_change_of_ours() -> None:
    headers = reduction_headers(ReductionReport(marks=2))
    assert headers == {"X-Reduction": "0", "X-Reduction-Detail": "marks=2"}


def test_a_conversation_that_is_held_out_is_told_so() -> None:
    headers = reduction_headers(ReductionReport(held_out=True))
    assert headers == {"X-Reduction": "0", "X-Reduction-Detail": "held_out=1"}
