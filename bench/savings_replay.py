"""Recorded requests through a running gateway, with a recorder at its other end."""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from bench.errors import BenchError
from bench.processes import LOOPBACK, running
from bench.savings_recorder import Expected, Recorder, running_recorder
from bench.stack import UP_SECONDS, up_program
from gateway.catalog.models import load_catalog
from gateway.errors import InvalidRequestError
from gateway.policies import ReductionPolicy
from gateway.protocols.model_fit import FitOptions
from gateway.savings.billing import Bill, Billing, TokenCounter
from gateway.savings.information import check_information
from gateway.savings.replay import Outcome, Setting, answer_blocks, plain_body
from gateway.savings.session import RecordedRequest, Session
from gateway.savings.token_counts import find_tokenizer

MODEL = "claude-sonnet-5-5"

_FIT = FitOptions(thinking_reserve_tokens=4096, show_reasoning=True)  # the gateway's defaults
_REQUEST_SECONDS = 120.0
_SHOWN_CHARS = 300


@dataclass(frozen=True, slots=True)
class Replayer:
    """Sends recorded requests to the gateway, one at a time."""

    client: aiohttp.ClientSession
    url: str
    recorder: Recorder
    setting: Setting

    async def replay(self, session: Session, limit: int | None) -> Outcome:
        """The bills of a session: plain, and of what arrived."""
        count = TokenCounter(self.setting.tokenizer, self.setting.model)
        plain, arrived = (Billing(self.setting.model, count) for _ in range(2))
        outcome = Outcome(session.id, session.kind)
        for number, request in enumerate(session.requests[:limit], 1):
            try:
                answer = answer_blocks(request.answer, self.setting)
                body = plain_body(request, self.setting)
                expected = Expected(arrived, request.seconds, answer)
                bill = await self._sent(request, expected)
            except (BenchError, InvalidRequestError, aiohttp.ClientError, TimeoutError) as error:
                outcome.failures.append(f"request {number}: {str(error) or repr(error)}")
                continue
            outcome.plain.add(plain.bill(body, request.seconds, answer))
            outcome.reduced.add(bill)
            outcome.told.add(check_information(body, expected.bodies[0]))
        return outcome

    async def _sent(self, request: RecordedRequest, expected: Expected) -> Bill:
        """The bill of what arrived. Raises BenchError when it was refused, or not sent once."""
        self.recorder.expected = expected
        data = orjson.dumps({**request.body, "model": MODEL})
        headers = {"content-type": "application/json", "x-bench-time": f"{request.seconds:.1f}"}
        async with self.client.post(self.url, data=data, headers=headers) as answer:
            text = await answer.text()
        if answer.status != 200:
            raise BenchError(expected.refusal or f"{answer.status} {text[:_SHOWN_CHARS]}")
        if expected.bill is None or len(expected.bodies) != 1:
            raise BenchError(f"arrived {len(expected.bodies)} times")
        return expected.bill


@contextlib.asynccontextmanager
async def running_replayer(scratch: Path, settings: Mapping[str, str]) -> AsyncIterator[Replayer]:
    """The gateway with `settings`, in front of a recorder; ends all of it on leaving."""
    async with contextlib.AsyncExitStack() as stack:
        recorder, port = await stack.enter_async_context(running_recorder())
        address = {"ANTHROPIC_BASE_URL": f"http://{LOOPBACK}:{port}"}
        program = up_program(scratch, frozenset(os.sched_getaffinity(0)), {**settings, **address})
        up = await stack.enter_async_context(running(program))
        told = orjson.loads(await up.read_line(UP_SECONDS))
        client = await stack.enter_async_context(
            aiohttp.ClientSession(
                headers={"authorization": f"Bearer {told['api_key']}"},
                timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS),
            )
        )
        model = load_catalog().models[MODEL]
        setting = Setting(model, ReductionPolicy(), _FIT, find_tokenizer())
        yield Replayer(client, f"{told['base_url']}/chat/completions", recorder, setting)
