"""References over made-up conversations: rebuilt to the byte, written once, the same everywhere."""

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policies import References
from gateway.reduction.references import ReferenceCache, decode_references, encode_references
from gateway.reduction.texts import read_texts, write_texts
from gateway.wire import JSONObject
from tests.unit.reduction.outside_reader import read_outside

ROOT = Path(__file__).resolve().parents[3]

_CODE = [
    *(f"    value_{index} = compute(value_{index}, step={index})  # why" for index in range(14)),
    *("", "", "}", "    return", "x" * 400),
]
_LISTED = [
    f"{number:>{width}}{separator}{_CODE[number % 14]}"
    for separator, width in (("→", 6), (": ", 1), ("\t", 4), ("|", 6))
    for number in (*range(3, 16), *range(5, 12), 99, 100)
]
_NOTATION = [
    "[ctx 1]",
    "[ctx 2]\n[ctx 1]",
    "[ctx ",
    "«identical to [ctx 1]»",
    "«lines 1-9 = lines 1-9 of [ctx 1]»",
    "«lines 1-9 = lines 1-9 of [ctx 1], without their numbers»",
    "«lines 3-8 = lines 3-8 of [ctx 2]» ",
    " «lines 3-8 = lines 3-8 of [ctx 2]»",
    "«lines 3-8 = lines 3-8 of [ctx ٢]»",
    "«lines ",
    "[ctx 1]\n«identical to [ctx 1]»",
]
_JUNK = [
    *("\r", "\f", "\u2028", "\x00\x07", "\ud83d", "é🙂", "7", "7: ", "  8|", "007: x", "٣: x"),
    "1234567890123: x",
]


def _slices(lines: list[str]) -> st.SearchStrategy[list[str]]:
    return st.tuples(st.integers(0, len(lines) - 1), st.integers(4, 24)).map(
        lambda run: lines[run[0] : run[0] + run[1]]
    )


_PLAIN = st.one_of(
    _slices(_CODE), _slices(_CODE), _slices(_LISTED), st.sampled_from(_JUNK).map(lambda x: [x])
)
_ANY = st.one_of(_PLAIN, _PLAIN, st.sampled_from(_NOTATION).map(lambda line: [line]))
_LINE_ENDS = st.sampled_from(["\n", "\n", "\n", "\n", "\r\n", "\n\n", "\r"])


def _texts(parts: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    """Texts put together from few parts, so that whole ones and runs of lines come back."""

    def joined(made: tuple[list[list[str]], list[list[int]], str]) -> list[str]:
        pool, choices, line_end = made
        return [
            line_end.join(line for index in chosen for line in pool[index % len(pool)])
            for chosen in choices
        ]

    pool = st.lists(parts, min_size=1, max_size=6)
    choices = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), max_size=8)
    return st.tuples(pool, choices, _LINE_ENDS).map(joined)


_MODES: st.SearchStrategy[References] = st.sampled_from(["whole", "runs"])
_ADVERSARIAL = st.one_of(
    _texts(_ANY), st.lists(st.text(st.characters(exclude_categories=()), max_size=400), max_size=4)
)


def conversation(values: list[str], said: list[str] | None = None) -> JSONObject:
    """Texts that users, tools and the assistant take turns to send."""
    messages: list[JSONObject] = []
    for index, value in enumerate(values):
        block: JSONObject = {"type": "text", "text": value}
        if index % 3 == 1:
            block = {"type": "tool_result", "tool_use_id": "t", "content": value}
        elif index % 3 == 2:
            block = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
        messages.append({"role": "user", "content": [block]})
        if said and index < len(said):
            answer = {"type": "text", "text": said[index]}
            messages.append({"role": "assistant", "content": [answer]})
    return {"messages": messages}


def encoded(
    body: JSONObject, mode: References = "runs", cache: ReferenceCache | None = None
) -> JSONObject:
    texts = read_texts(body)
    encode_references(body, texts, mode, cache, "one")
    return write_texts(body, texts)


def everything_said(body: JSONObject) -> list[str]:
    """All texts of a body in order, whoever said them."""
    blocks = [block for message in body["messages"] for block in message["content"]]
    texts = [block["text"] if block["type"] == "text" else block["content"] for block in blocks]
    return [text if isinstance(text, str) else text[0]["text"] for text in texts]


@given(_ADVERSARIAL, st.lists(st.sampled_from(_NOTATION), max_size=6), _MODES)
def test_what_is_sent_reads_back_to_the_byte(
    values: list[str], said: list[str], mode: References
) -> None:
    body = conversation(values, said)
    assert decode_references(encoded(body, mode)) == body


@given(_texts(_PLAIN), st.lists(st.sampled_from(["[ctx 1]\n", "[ctx 3]\nso", "ok"])), _MODES)
def test_other_readers_of_the_notation_agree(
    values: list[str], said: list[str], mode: References
) -> None:
    plain = [text.removeprefix("[ctx 1]\n").removeprefix("[ctx 3]\n") for text in said]
    sent = everything_said(encoded(conversation(values, said), mode))
    assert read_outside(sent) == (everything_said(conversation(values, plain)), 0)


@given(_ADVERSARIAL, st.lists(st.sampled_from(_NOTATION), max_size=6), _MODES)
def test_p37_the_beginning_is_sent_alike_however_it_goes_on(
    values: list[str], said: list[str], mode: References
) -> None:
    whole = encoded(conversation(values, said), mode)["messages"]
    for count in range(len(values)):
        beginning = encoded(conversation(values[:count], said), mode)["messages"]
        assert whole[: len(beginning)] == beginning


@given(_ADVERSARIAL, _MODES)
def test_nothing_grows_by_more_than_its_label(values: list[str], mode: References) -> None:
    body = conversation(values)
    for before, after in zip(
        everything_said(body), everything_said(encoded(body, mode)), strict=True
    ):
        assert len(after) <= len(before) + len("[ctx 10]\n")


@settings(max_examples=60)
@given(
    st.lists(st.tuples(_ADVERSARIAL, _ADVERSARIAL, st.integers(0, 8)), min_size=1, max_size=3),
    st.sampled_from([0, 9_000, 2**26]),
)
def test_what_is_remembered_changes_nothing(
    histories: list[tuple[list[str], list[str], int]], max_bytes: int
) -> None:
    """Conversations that part from each other, interleaved, with any of them forgotten."""
    cache = ReferenceCache(3600, max_bytes=max_bytes, max_entries=2)
    requests: list[list[str]] = []
    for values, others, count in histories:
        requests += [
            values[:count],
            values,
            [*values[:count], *others],
            values[: count + 1],
            values,
        ]
    for pair in zip(requests, reversed(requests), strict=True):
        for values in pair:
            body = conversation(values, ["[ctx 2]\n"] * (len(values) % 2))
            assert encoded(body, "runs", cache) == encoded(body)


def session(turns: int) -> JSONObject:
    """An agent that reads, edits and reads again, and a user who pastes what it read."""
    files = {
        name: [
            f"def {name}_{line}(value):  # {name * 3} {line * 7919 % 1000}" for line in range(60)
        ]
        for name in ("alpha", "beta", "gamma")
    }
    values: list[str] = []
    for turn in range(turns):
        name = ("alpha", "beta", "gamma")[turn * turn % 3]
        lines = files[name]
        if turn % 4 == 3:
            lines[turn % 60] = f"    return {turn}  # edited"
        begin = turn * 11 % 40
        if turn % 5 == 2:
            values.append("\n".join(lines))
        else:
            part = lines[begin : begin + 30]
            values.append("\n".join(f"{begin + at:>6}→{x}" for at, x in enumerate(part, 1)))
    return conversation(values)


def test_a_session_of_reads_and_edits_is_sent_in_far_fewer_characters() -> None:
    shares: list[tuple[References, float]] = [("runs", 0.45), ("whole", 1.01)]
    for mode, most in shares:
        cache = ReferenceCache(3600)
        before: list[JSONObject] = []
        for turns in range(1, 60):
            body = session(turns)
            out = encoded(body, mode, cache)
            assert decode_references(out) == body
            assert read_outside(everything_said(out)) == (everything_said(body), 0)
            assert out["messages"][: len(before)] == before
            before = out["messages"]
        plain = sum(map(len, everything_said(session(59))))
        assert sum(map(len, everything_said({"messages": before}))) < plain * most


def test_every_process_sends_the_same_bytes() -> None:
    program = (
        "import hashlib\n"
        "from tests.unit.reduction.test_references_properties import encoded, session\n"
        "print(hashlib.sha256(repr(encoded(session(50))).encode()).hexdigest())"
    )
    sent = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(sent) == 1
    assert len(sent.pop()) == 65
