"""Requests and answers of the Responses API against the exact bytes on the wire.

`responses_requests/<case>/`: `request.json` (and `recalled.json`, the items of earlier Responses)
go in; `upstream.json` (the body sent, and what was ignored and noted) must come out.
`responses_streams/<case>/`: `request.json` and `upstream.sse` go in; `client.sse` (the events, with
those of an error when the stream failed) and `answer.json` (the whole answer for the same events,
or the error) must come out. To write the expected files anew after a wanted change, and then read
the difference before keeping it:

    UPDATE_GOLDEN=1 pytest tests/golden/test_golden_responses.py
"""

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway import wire
from gateway.catalog.models import load_catalog
from gateway.errors import UpstreamCutError
from gateway.protocols.model_fit import FitOptions, fit_to_model
from gateway.protocols.openai_responses import Recalled, translate
from gateway.protocols.openai_responses_answer import answer
from gateway.protocols.openai_responses_plan import AnswerFrame, ResponseEnvelope
from gateway.protocols.openai_responses_stream import ResponsesStream
from gateway.protocols.shared.assemble import MessageAssembler
from gateway.protocols.shared.failures import openai_error
from gateway.protocols.shared.sealed_thinking import ThinkingSeal
from gateway.protocols.shared.sse import SSEFramer
from gateway.security.sealing import Sealer

HERE = Path(__file__).parent
REQUESTS = sorted(path.parent for path in HERE.glob("responses_requests/*/request.json"))
STREAMS = sorted(path.parent for path in HERE.glob("responses_streams/*/upstream.sse"))
CREATED = 1_764_000_000
# The key of the sealed texts in the requests. Streams are sealed by `PlainSealer`: encryption
# with fresh random bits would give other bytes each time.
SEAL = ThinkingSeal(Sealer([b"the key of the golden files"]), b"golden")


class PlainSealer:
    """Seals nothing: shows what would be sealed."""

    def seal(self, data: bytes, context: bytes) -> str:
        return f"{context.decode()}:{data.decode()}"

    def open(self, text: str, context: bytes) -> bytes | None:
        return text.removeprefix(f"{context.decode()}:").encode()


def load(path: Path, otherwise: Any = None) -> Any:
    return wire.loads(path.read_bytes()) if path.exists() else otherwise


def fitted(case: Path) -> bytes:
    recalled = Recalled(load(case / "recalled.json", []))
    made = translate(load(case / "request.json"), recalled, SEAL)
    model = load_catalog().models["claude-opus-5-5"]
    sent = fit_to_model(made.draft, model, FitOptions(4096, show_reasoning=True))
    return pretty({"body": sent.body, "ignored": sent.ignored, "notes": sent.notes})


def frame_of(case: Path) -> AnswerFrame:
    made = translate(load(case / "request.json"))
    envelope = ResponseEnvelope("resp_golden", lambda: CREATED, ThinkingSeal(PlainSealer(), b"g"))
    return AnswerFrame(made.draft.reply, made.plan, envelope)


def streamed(case: Path) -> bytes:
    stream = ResponsesStream(frame_of(case))
    out = stream.feed(SSEFramer().feed((case / "upstream.sse").read_bytes()))
    failure = stream.failure
    if failure is None and not stream.meter.completed:
        failure = UpstreamCutError("Claude's API ended the answer too early")
    return out if failure is None else out + stream.error(failure)


def whole(case: Path) -> bytes:
    assembler = MessageAssembler()
    assembler.feed(SSEFramer().feed((case / "upstream.sse").read_bytes()))
    failure = assembler.failure
    if failure is None and not assembler.meter.completed:
        failure = UpstreamCutError("Claude's API ended the answer too early")
    if failure is not None:
        return pretty(openai_error(failure))
    answered = answer(assembler.message, assembler.meter, frame_of(case), CREATED)
    return pretty(answered.response)


def pretty(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def compare(path: Path, actual: bytes) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(actual)
    assert actual == path.read_bytes()


def test_there_are_cases() -> None:
    assert len(REQUESTS) >= 10
    assert len(STREAMS) >= 12


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_upstream_body(case: Path) -> None:
    compare(case / "upstream.json", fitted(case))


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.name)
def test_streamed_bytes(case: Path) -> None:
    compare(case / "client.sse", streamed(case))


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.name)
def test_whole_answer(case: Path) -> None:
    compare(case / "answer.json", whole(case))
