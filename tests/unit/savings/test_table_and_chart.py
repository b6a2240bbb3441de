"""How figures are shown: a table that fits, a chart that is well-formed and says what it shows."""

import struct
from xml.etree import ElementTree

import pytest

from gateway.savings.billing import Bill
from gateway.savings.chart import draw_png, draw_svg
from gateway.savings.figures import Summary, summarize
from gateway.savings.information import Told
from gateway.savings.replay import Outcome
from gateway.savings.table import dollars, render
from gateway.structs import replace

SVG = "{http://www.w3.org/2000/svg}"


def outcome(name: str, kind: str, plain: float, reduced: float, **told: int) -> Outcome:
    before = Bill(10, input_tokens=1000, output_tokens=10, input_usd=plain, output_usd=1.0)
    after = replace(before, input_tokens=100, cache_read_tokens=850, input_usd=reduced)
    return Outcome(name, kind, before, after, Told(1000, **told))


def summary(**told: int) -> Summary:
    return summarize(
        [
            outcome("first", "agent", 10.0, 1.0),
            outcome("a-session-with-a-very-long-name-indeed", "agent", 20.0, 5.0),
            outcome("third", "chat", 0.5, 0.6, **told),
        ]
    )


def test_the_table_has_sessions_kinds_total_and_mean() -> None:
    lines = render(summary(), 120).splitlines()
    names = [line.split("  ")[0] for line in lines]
    assert names[3:6] == ["first", "a-session-with-a-very-long-name-indeed", "third"]
    assert names[-5:] == ["agent (2)", "chat (1)", names[2], "total (3)", "mean of kinds"]
    agent = next(line for line in lines if line.startswith("agent")).split()
    # 30 dollars became 6; with the answers 32 became 8; 2000 tokens became 1900.
    assert agent[2:] == ["20", "32.00", "8.00", "80.0", "%", "75.0", "%", "5.0", "%", "0"]
    mean = next(line for line in lines if line.startswith("mean")).split()
    assert mean[3:5] == ["30.0", "%"]  # of 80 % saved and 20 % lost


def test_without_sessions_only_sums_are_shown() -> None:
    shown = render(summary(), 120, sessions=False)
    assert "first" not in shown
    assert "agent (2)" in shown


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_table_fits_the_terminal(width: int) -> None:
    assert max(map(len, render(summary(), width).splitlines())) <= width


def test_columns_of_zeros_are_left_out_and_others_are_not() -> None:
    assert "declared" not in render(summary(), 200)
    shown = render(summary(hidden=1, declared=200, bad_references=3), 200)
    assert "declared" in shown
    assert "20.000 %" in shown
    assert "0.100 %" in shown  # one character of a thousand


def test_what_own_logs_say_was_saved_has_a_column_when_one_tells() -> None:
    billed = outcome("a", "k", 2.0, 1.0)
    billed.recorded, billed.recorded_plain = Bill(1, input_usd=1.0), Bill(1, input_usd=4.0)
    assert "75.0 %" in render(summarize([billed, outcome("b", "m", 2.0, 1.0)]), 200)
    assert "own log" not in render(summary(), 200)


def test_a_little_that_was_hidden_never_shows_as_nothing() -> None:
    told = Told(10**9, hidden=1)
    shown = render(summarize([replace(outcome("a", "k", 2.0, 1.0), told=told)]), 200)
    assert "0.001 %" in shown


def test_dollars_keep_the_digits_that_tell_something() -> None:
    assert [dollars(value) for value in (1234.5, 1.0, 0.0123)] == ["1,234.50", "1.00", "0.0123"]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_chart_says_what_it_shows() -> None:
    svg = draw_svg(summary(), "claude-test-1")
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    shown = texts(svg)
    assert "78.4 % of input dollars saved" in shown
    assert any(
        "3 recorded sessions, 30 requests" in text and "claude-test-1" in text for text in shown
    )
    assert {"agent", "chat", "all sessions"} <= set(shown)
    assert {"\u221280.0 %", "+20.0 %", "$30.00 \u2192 $6.00", "0 %", "100 %"} <= set(shown)
    described = root.find(f"{SVG}desc")
    assert described is not None
    assert "agent: 30.00 dollars plain" in (described.text or "")


def bars(svg: str, kind: str) -> list[float]:
    found = ElementTree.fromstring(svg).iter(f"{SVG}rect")
    return [float(each.attrib["width"]) for each in found if each.attrib["class"] == kind]


def test_bars_are_as_long_as_what_is_paid() -> None:
    svg = draw_svg(summary(), "m")
    plain = bars(svg, "plain")[1:]  # the first one is in the legend
    assert len(set(plain)) == 1
    agent, total = bars(svg, "gateway")[1:]
    assert agent == pytest.approx(plain[0] * 0.2, abs=0.1)
    assert total == pytest.approx(plain[0] * 6.6 / 30.5, abs=0.1)
    (dearer,) = bars(svg, "dearer")
    assert dearer == pytest.approx(plain[0] * 1.2, abs=0.1)


def test_nothing_leaves_the_page() -> None:
    root = ElementTree.fromstring(draw_svg(summary(), "m"))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for element in root.iter():
        x, y = float(element.attrib.get("x", 0)), float(element.attrib.get("y", 0))
        assert 0 <= x <= width
        assert 0 <= y <= height
        assert x + float(element.attrib.get("width", 0)) <= width


def test_names_cannot_break_the_document() -> None:
    kind = "<b>&\"'\x07]]>"
    svg = draw_svg(summarize([outcome("s", kind, 2.0, 1.0)]), "m<&")
    assert "<b>&\"'?]]>" in texts(svg)


def test_a_long_name_is_shortened() -> None:
    shown = texts(draw_svg(summarize([outcome("s", "k" * 60, 2.0, 1.0)]), "m"))
    assert "k" * 19 + "…" in shown


def test_a_dearer_total_is_no_saving() -> None:
    shown = texts(draw_svg(summarize([outcome("s", "k", 2.0, 3.0)]), "m"))
    assert "50.0 % more input dollars" in shown


def test_the_same_chart_as_a_picture() -> None:
    svg = draw_svg(summary(), "m")
    png = draw_png(svg)
    assert png.startswith(b"\x89PNG")
    size = struct.unpack(">II", png[16:24])
    root = ElementTree.fromstring(svg)
    assert size == (2 * int(root.attrib["width"]), 2 * int(root.attrib["height"]))
