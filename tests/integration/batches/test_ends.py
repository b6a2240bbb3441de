"""How batches get to their end: limits upstream, poison, files, webhooks, a retry."""

import hashlib
import hmac
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway import wire
from gateway.storage.batch_items_store import BatchItemStore
from gateway.storage.batch_store import BatchRow, BatchStore
from gateway.storage.batch_tables import FAILED, SUCCEEDED
from gateway.storage.file_store import FileStore
from tests.contract.harness.simulator import Simulator
from tests.integration.batches.worker import (
    BatchWorker,
    accepted,
    ended,
    started,
    states,
    until,
    usage,
)
from workflows.client import TemporalEngine

pytestmark = pytest.mark.timeout(150)


async def test_an_upstream_that_limits_half_of_the_calls_is_waited_for(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker, simulator: Simulator
) -> None:
    simulator.script(
        {
            "match": {"contains": "even"},
            "error": {"type": "rate_limit_error", "retry_after": 5},
            "times": 100,
        }
    )
    await worker.start("batch")
    questions = [f"{'even' if number % 2 == 0 else 'odd'} {number}" for number in range(200)]
    batch = await accepted(engine, questions)
    await started(durable, batch)
    row = await ended(engine, batch, 90)
    assert (row.status, row.succeeded) == ("completed", 200)
    assert await usage(engine, batch) == (200, 200)
    assert simulator.call("GET", "scripts")["scripts"] == []


async def test_a_poisoned_item_fails_alone(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker
) -> None:
    await worker.start("batch")
    questions = ["Hi"] * 40
    questions[11] = "[[sim:cut bytes=200]]"
    questions[12] = "[[sim:error api_error]]"
    batch = await accepted(engine, questions)
    await started(durable, batch)
    row = await ended(engine, batch, 120)
    assert (row.status, row.succeeded, row.failed) == ("completed", 38, 2)
    assert await usage(engine, batch) == (40, 40)
    errors = await BatchItemStore(engine).first_errors(batch.id, 5)
    assert [error["index"] for error in errors] == [11, 12]
    assert all(error["error"]["status"] >= 500 for error in errors)


async def paid(engine: AsyncEngine, batch: BatchRow) -> tuple[int, int]:
    """Tokens in the usage rows of a batch."""
    statement = text(
        "select sum(input_tokens), sum(output_tokens) from usage_events where batch_id = :id"
    )
    async with engine.connect() as connection:
        row = (await connection.execute(statement, {"id": batch.id})).one()
        return int(row[0]), int(row[1])


async def test_failed_items_are_executed_again_after_a_retry(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker, simulator: Simulator
) -> None:
    simulator.script(
        {"match": {"contains": "unlucky"}, "error": {"type": "invalid_request_error"}, "times": 2}
    )
    await worker.start("batch")
    batch = await accepted(engine, ["unlucky", "lucky", "unlucky too"])
    await started(durable, batch)
    row = await ended(engine, batch)
    assert (row.succeeded, row.failed) == (1, 2)
    assert await BatchItemStore(engine).retry_failed(batch.id) == 2
    await started(durable, batch)
    row = await ended(engine, batch)
    assert (row.status, row.succeeded, row.failed) == ("completed", 3, 0)
    assert await states(engine, batch) == {SUCCEEDED: 3}
    # Three items, and the two that were paid for again.
    assert await usage(engine, batch) == (5, 5)
    assert await paid(engine, batch) == (row.input_tokens, row.output_tokens)


async def test_an_answer_that_breaks_off_is_tried_again_and_counted_with_it(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker, simulator: Simulator
) -> None:
    simulator.script(
        {
            "match": {"contains": "breaks"},
            "blocks": [{"type": "text", "text": "lost"}],
            "delivery": {"cut_events": 4},
        }
    )
    await worker.start("batch")
    batch = await accepted(engine, ["[[sim:text a]] breaks"])
    await started(durable, batch)
    row = await ended(engine, batch)
    assert (row.status, row.succeeded) == ("completed", 1)
    assert await usage(engine, batch) == (1, 1)
    (item,) = await BatchItemStore(engine).results(batch.id, -1, 2)
    said = wire.loads(item.result or b"")["usage"]["prompt_tokens"]
    assert (await paid(engine, batch))[0] == 2 * said
    assert await paid(engine, batch) == (row.input_tokens, row.output_tokens)


async def test_a_batch_of_openais_form_gets_its_files(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker
) -> None:
    await worker.start("batch")
    questions = [f"[[sim:text answer {number}]]" for number in range(20)]
    questions[5] = "[[sim:error invalid_request_error]]"
    batch = await accepted(engine, questions, form="openai")
    await started(durable, batch)
    row = await ended(engine, batch)
    assert await states(engine, batch) == {SUCCEEDED: 19, FAILED: 1}
    assert row.output_file_id is not None
    assert row.error_file_id is not None
    files = FileStore(engine)
    lines = await lines_of(files, row.output_file_id)
    assert [line["custom_id"] for line in lines] == [f"q-{n}" for n in range(20) if n != 5]
    answer = lines[0]["response"]
    assert lines[0]["error"] is None
    assert (answer["status_code"], answer["body"]["object"]) == (200, "chat.completion")
    assert answer["body"]["choices"][0]["message"]["content"] == "answer 0"
    failed = (await lines_of(files, row.error_file_id))[0]
    assert (failed["custom_id"], failed["response"]) == ("q-5", None)
    assert failed["error"]["message"]
    assert (await files.get("default", row.output_file_id)).purpose == "batch_output"


async def lines_of(files: FileStore, file_id: str) -> list[dict[str, Any]]:
    content = b"".join([piece async for piece in files.content(file_id)])
    return [wire.loads(line) for line in content.splitlines()]


class Hook(HTTPServer):
    """A client's server, which fails at first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HookHandler)
        self.heard: list[tuple[dict[str, str], bytes]] = []


class HookHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Hook)
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        server.heard.append((headers, body))
        self.send_response(503 if len(server.heard) == 1 else 204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_a_webhook_is_signed_and_tried_until_it_is_taken(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker, hook: Hook
) -> None:
    await worker.start("batch")
    address = f"http://127.0.0.1:{hook.server_port}/done?for=tests"
    batch = await accepted(engine, ["a secret question"], webhook=address)
    await started(durable, batch)
    await ended(engine, batch)

    async def taken() -> bool:
        return len(hook.heard) >= 2

    await until(taken)
    (first, _), (headers, body) = hook.heard[:2]
    at, _, signed = headers["x-gateway-signature"].removeprefix("t=").partition(",v1=")
    expected = hmac.new(b"a secret of webhooks", f"{at}.".encode() + body, hashlib.sha256)
    assert signed == expected.hexdigest()
    assert headers["x-gateway-event-id"] == first["x-gateway-event-id"]
    said = wire.loads(body)
    assert (said["type"], said["data"]["id"]) == ("batch.completed", batch.id)
    assert said["data"]["request_counts"]["completed"] == 1
    assert b"secret question" not in body
    assert (await BatchStore(engine).get(batch.id)).status == "completed"
