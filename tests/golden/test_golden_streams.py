"""Event scripts of the Messages API against the exact bytes a chat client gets.

One directory a case under `streams/`: `plan.json` (fields of `ReplyPlan`) and `upstream.sse` go
in; `client.sse` (the chunks, with the error event when the stream failed) and `answer.json` (the
whole answer for the same events, or the error) must come out. To write the expected files anew
after a wanted change, and then read the difference before keeping it:

    UPDATE_GOLDEN=1 pytest tests/golden/test_golden_streams.py
"""

import os
from pathlib import Path

import orjson
import pytest

from gateway import wire
from gateway.errors import UpstreamCutError, UpstreamError
from gateway.protocols.openai_chat_answer import answer
from gateway.protocols.openai_chat_stream import ChatStream
from gateway.protocols.shared.assemble import MessageAssembler
from gateway.protocols.shared.draft import ReplyPlan
from gateway.protocols.shared.failures import openai_error
from gateway.protocols.shared.sse import SSEFramer
from gateway.protocols.shared.usage import UsageMeter

CASES = sorted(path.parent for path in Path(__file__).parent.glob("streams/*/upstream.sse"))
CREATED = 1_764_000_000


def read_plan(case: Path) -> ReplyPlan:
    fields = wire.loads((case / "plan.json").read_bytes())
    for name in ("custom_tools", "wrapped_tools"):
        fields[name] = frozenset(fields.get(name, ()))
    return ReplyPlan(**fields)


def failure_of(failure: UpstreamError | None, meter: UsageMeter) -> UpstreamError | None:
    if failure is None and not meter.completed:
        return UpstreamCutError("Claude's API ended the answer too early")
    return failure


def streamed(case: Path) -> bytes:
    stream = ChatStream(read_plan(case), CREATED, "chatcmpl-fallback")
    out = stream.feed(SSEFramer().feed((case / "upstream.sse").read_bytes()))
    failure = failure_of(stream.failure, stream.meter)
    return out if failure is None else out + stream.error(failure)


def whole(case: Path) -> bytes:
    assembler = MessageAssembler()
    assembler.feed(SSEFramer().feed((case / "upstream.sse").read_bytes()))
    failure = failure_of(assembler.failure, assembler.meter)
    if failure is not None:
        body = openai_error(failure)
    else:
        body = answer(assembler.message, assembler.meter, read_plan(case), CREATED)
    return orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def compare(path: Path, actual: bytes) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(actual)
    assert actual == path.read_bytes()


def test_there_are_cases() -> None:
    assert len(CASES) >= 15


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_streamed_bytes(case: Path) -> None:
    compare(case / "client.sse", streamed(case))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_whole_answer(case: Path) -> None:
    compare(case / "answer.json", whole(case))
