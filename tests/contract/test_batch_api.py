"""Batches and files as the official clients and curl use them; items are finished in the store."""

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import anthropic
import asyncpg
import httpx2
import openai
import psutil
import pytest

from gateway import wire
from gateway.batches import openai_form
from gateway.security.keys import hash_key
from gateway.storage.batch_items_store import BatchItemStore
from gateway.storage.database import create_engine
from tests.contract.harness.batches import MODEL, chat, done, failed, finish, nothing_executed
from tests.contract.harness.gateway import PROMPT_CANARY, Gateway


def line(number: int, **fields: Any) -> bytes:
    request = {
        "custom_id": f"r-{number}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": chat(),
        **fields,
    }
    return wire.dumps(request) + b"\n"


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_executed(gateway: Gateway) -> Iterator[None]:
    with nothing_executed(gateway):
        yield


@pytest.fixture
def claude(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    root = gateway.base_url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=root, api_key=gateway.api_key, max_retries=0) as sdk:
        yield sdk


def test_files_of_the_openai_client(client: openai.OpenAI) -> None:
    content = b"".join(line(number) for number in range(3000))
    file = client.files.create(
        file=("in.jsonl", content),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert (file.bytes, file.filename, file.status) == (len(content), "in.jsonl", "processed")
    assert file.expires_at is not None
    assert file.expires_at - file.created_at in range(3590, 3611)
    assert client.files.retrieve(file.id) == file
    assert file.id in [each.id for each in client.files.list(purpose="batch", limit=1)]
    assert client.files.content(file.id).read() == content
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)


def test_batches_of_the_openai_client(gateway: Gateway, client: openai.OpenAI) -> None:
    file = client.files.create(file=("in.jsonl", line(0) + b"\n" + line(1)), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"team": "red"},
    )
    assert batch.status in {"validating", "in_progress"}
    assert batch.request_counts is not None
    assert (batch.request_counts.total, batch.metadata) == (2, {"team": "red"})
    assert batch.id in [each.id for each in client.batches.list(limit=1)]
    cancelled = client.batches.cancel(batch.id)
    assert cancelled.status in {"cancelling", "cancelled"}
    assert client.batches.retrieve(batch.id).id == batch.id
    assert client.batches.cancel(batch.id).id == batch.id
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_none")


@pytest.mark.parametrize(
    ("lines", "code", "number", "param"),
    [
        (b"", "empty_file", None, None),
        (line(0) + b'{"custom_id": \n', "invalid_json_line", 2, None),
        (line(0) + line(1) + line(0), "duplicate_custom_id", 3, "custom_id"),
        (line(0) + line(1, url="/v1/embeddings"), "mismatched_endpoint", 2, "url"),
        (line(0, method="GET"), "invalid_method", 1, "method"),
        (line(0, body={**chat(), "model": "claude-nobody-1"}), "model_not_found", 1, "body.model"),
        (
            line(0, body={"model": MODEL, "messages": [{"role": "wizard", "content": "x"}]}),
            "invalid_value",
            1,
            "body.messages[0].role",
        ),
    ],
)
def test_a_file_with_bad_lines_fails_its_batch(
    client: openai.OpenAI, lines: bytes, code: str, number: int | None, param: str | None
) -> None:
    file = client.files.create(file=("in.jsonl", lines), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert batch.status == "failed"
    assert batch.failed_at is not None
    assert batch.errors is not None
    assert batch.errors.data is not None
    first = batch.errors.data[0]
    assert (first.code, first.line, first.param) == (code, number, param)


def test_message_batches_of_the_anthropic_client(
    gateway: Gateway, claude: anthropic.Anthropic
) -> None:
    params: Any = {**chat(), "max_tokens": 10}
    batch = claude.messages.batches.create(
        requests=[{"custom_id": f"m-{n}", "params": params} for n in range(3)]
    )
    assert (batch.processing_status, batch.request_counts.processing) == ("in_progress", 3)
    assert claude.messages.batches.retrieve(batch.id).id == batch.id
    assert batch.id in [each.id for each in claude.messages.batches.list(limit=1)]
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    results = [done(0, message), failed(1), done(2, message)]
    finish(gateway, batch.id, results, "finalizing", "completed")
    ended = claude.messages.batches.retrieve(batch.id)
    assert (ended.processing_status, ended.request_counts.errored) == ("ended", 1)
    by_id = {each.custom_id: each.result for each in claude.messages.batches.results(batch.id)}
    assert by_id["m-0"].type == "succeeded"
    assert by_id["m-1"].type == "errored"
    assert by_id["m-1"].error.error.type == "invalid_request_error"
    assert claude.messages.batches.delete(batch.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.batches.retrieve(batch.id)


def test_a_bad_message_batch_names_the_item(claude: anthropic.Anthropic) -> None:
    params: Any = {**chat(), "max_tokens": 10}
    with pytest.raises(anthropic.BadRequestError, match=r"requests\[1\]\.custom_id"):
        claude.messages.batches.create(
            requests=[{"custom_id": "same", "params": params} for _ in range(2)]
        )
    unknown: Any = {**params, "model": "claude-nobody-1"}
    with pytest.raises(anthropic.BadRequestError, match=r"requests\[0\]\.params"):
        claude.messages.batches.create(requests=[{"custom_id": "a", "params": unknown}])


def test_the_short_form_from_submit_to_results(gateway: Gateway, http: httpx2.Client) -> None:
    body = {"requests": [{**chat(), "custom_id": "a"}, chat(), chat()], "mode": "paced"}
    made = http.post("/v1/batch", json=body)
    assert made.status_code == 200, made.text
    batch = made.json()
    path = f"/v1/batch/{batch['id']}"
    assert (batch["counts"]["total"], batch["mode"]) == (3, "paced")
    finish(gateway, batch["id"], [done(0), failed(1)], "in_progress")
    running = http.get(path).json()
    assert running["counts"]["waiting"] == 1
    assert running["estimated_end_at"] is not None
    assert running["first_errors"][0]["error"]["code"] == "invalid_value"
    lines = [wire.loads(each) for each in http.get(f"{path}/results").content.splitlines()]
    assert [(each["custom_id"], each["status"]) for each in lines] == [
        ("a", "succeeded"),
        ("request-1", "failed"),
    ]
    page = http.get(f"{path}/results", params={"after": 0, "limit": 1}).content
    assert wire.loads(page)["index"] == 1
    assert http.post(f"{path}/pause").json()["status"] == "paused"
    assert http.post(f"{path}/resume").json()["status"] == "in_progress"
    assert http.post(f"{path}/retry").status_code == 400
    finish(gateway, batch["id"], [done(2)], "finalizing", "completed")
    assert http.post(f"{path}/retry").json()["counts"]["waiting"] == 1
    assert http.post(f"{path}/cancel").json()["status"] == "cancelling"
    assert batch["id"] in [each["id"] for each in http.get("/v1/batch").json()["data"]]


def test_what_is_refused_is_named_and_nothing_is_stored(http: httpx2.Client) -> None:
    before = http.get("/v1/batch", params={"limit": 1}).json()["first_id"]
    role = {"model": MODEL, "messages": [{"role": "wizard", "content": PROMPT_CANARY}]}
    for body, param in (
        ({"requests": [chat()] * 7 + [role]}, "requests[7].messages[0].role"),
        ({"requests": [chat(), {**chat(), "model": "claude-nobody-1"}]}, "requests[1].model"),
        ({"requests": [{**chat(), "custom_id": "a"}] * 2}, "requests[1].custom_id"),
        ({"requests": []}, "requests"),
        ({"requests": [chat()], "mode": "fast"}, "mode"),
        ({"requests": [chat()], "webhook": "ftp://x"}, "webhook"),
        ({"input_file_id": "file-none"}, "input_file_id"),
    ):
        answer = http.post("/v1/batch", json=body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["param"] == param
        assert PROMPT_CANARY not in answer.text
    assert http.get("/v1/batch", params={"limit": 1}).json()["first_id"] == before


def test_a_key_makes_one_batch_and_one_file(http: httpx2.Client) -> None:
    headers = {"idempotency-key": uuid.uuid4().hex}
    first = http.post("/v1/batch", json={"requests": [chat()]}, headers=headers).json()
    again = http.post("/v1/batch", json={"requests": [chat()]}, headers=headers).json()
    assert first["id"] == again["id"]
    other = http.post("/v1/batch", json={"requests": [chat("no")]}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    ids = {
        http.post(
            "/v1/files",
            files={"file": ("a", b"x" * 10)},
            data={"purpose": "batch"},
            headers=headers,
        ).json()["id"]
        for _ in range(2)
    }
    assert len(ids) == 1
    changed = http.post(
        "/v1/files", files={"file": ("a", b"y")}, data={"purpose": "batch"}, headers=headers
    )
    assert changed.status_code == 409


def test_bad_uploads_are_refused(http: httpx2.Client) -> None:
    for request in (
        {"json": {"purpose": "batch"}},
        {"files": {"file": ("a", b"x")}},
        {"files": {"file": ("a", b"x")}, "data": {"purpose": "poems"}},
        {"files": {"other": ("a", b"x")}, "data": {"purpose": "batch"}},
        {"content": b"--b\r\n", "headers": {"content-type": "multipart/form-data; boundary=b"}},
    ):
        answer = http.post("/v1/files", **request)
        assert answer.status_code == 400, answer.text


def test_the_output_line_is_openais(gateway: Gateway, http: httpx2.Client) -> None:
    made = http.post("/v1/batch", json={"requests": [chat(), chat()]}).json()
    finish(gateway, made["id"], [done(0), failed(1)])

    async def lines() -> list[Any]:
        engine = create_engine(gateway.environment["DATABASE_URL"])
        try:
            found = await BatchItemStore(engine).results(made["id"], -1, 10)
        finally:
            await engine.dispose()
        return [wire.loads(openai_form.line(made["id"], item)) for item in found]

    good, bad = asyncio.run(lines())
    assert good["response"] == {"status_code": 200, "request_id": "req_1", "body": {"n": 0}}
    assert (good["error"], bad["response"]) == (None, None)
    assert bad["error"] == {"code": "invalid_value", "message": "no"}


async def test_another_project_sees_nothing(gateway: Gateway, http: httpx2.Client) -> None:
    made = http.post("/v1/batch", json={"requests": [chat()]}).json()
    file = http.post("/v1/files", files={"file": ("a", line(0))}, data={"purpose": "batch"}).json()
    project = f"other-{uuid.uuid4().hex[:8]}"
    connection = await asyncpg.connect(gateway.environment["DATABASE_URL"])
    try:
        await connection.execute("insert into projects (id) values ($1)", project)
        await connection.execute(
            "insert into api_keys (id, project_id, key_hash) values ($1, $1, $2)",
            project,
            hash_key(f"cgw_{project}"),
        )
    finally:
        await connection.close()
    with gateway.http(f"cgw_{project}") as other:
        for path in (
            f"/v1/batch/{made['id']}",
            f"/v1/batch/{made['id']}/results",
            f"/v1/batches/{made['id']}",
            f"/v1/messages/batches/{made['id']}",
            f"/v1/files/{file['id']}",
            f"/v1/files/{file['id']}/content",
        ):
            assert other.get(path).status_code == 404, path
        for action in ("cancel", "pause", "resume", "retry"):
            assert other.post(f"/v1/batch/{made['id']}/{action}").status_code == 404
        assert other.delete(f"/v1/files/{file['id']}").status_code == 404
        stolen = {"input_file_id": file["id"]}
        assert other.post("/v1/batch", json=stolen).status_code == 400
        assert other.get("/v1/batch").json()["data"] == []
        assert other.get("/v1/files").json()["data"] == []
    assert http.get(f"/v1/batch/{made['id']}").json()["status"] in {"validating", "in_progress"}


@contextlib.contextmanager
def watched(processes: list[psutil.Process]) -> Iterator[list[int]]:
    """The memory of processes in bytes: at first, and the most it was at any time since."""

    def memory() -> int:
        return sum(process.memory_info().rss for process in processes)

    def watch() -> None:
        while not over.wait(0.05):
            peak[-1] = max(peak[-1], memory())

    over, peak = threading.Event(), [memory(), 0]
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def test_a_file_of_200_mb_goes_through_little_memory(gateway: Gateway) -> None:
    # Each line carries a long text, so that 195 MB are read as 2,000 requests.
    wide = line(0, body=chat("x" * 97_000))

    def lines() -> Iterator[bytes]:
        yield b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        yield b'--b\r\ncontent-disposition: form-data; name="file"; filename="wide"\r\n\r\n'
        for number in range(2000):
            yield wide.replace(b'"r-0"', b'"r-%d"' % number)
        yield b"\r\n--b--\r\n"

    with gateway.http() as http, watched([psutil.Process(p) for p in gateway.pids["api"]]) as peak:
        kind = {"content-type": "multipart/form-data; boundary=b"}
        file = http.post("/v1/files", content=lines(), headers=kind, timeout=55)
        assert file.status_code == 200, file.text
        assert file.json()["bytes"] > 194_000_000
        assert peak[-1] - peak[0] < 60_000_000
        made = http.post("/v1/batch", json={"input_file_id": file.json()["id"]}, timeout=55)
        assert made.status_code == 200, made.text
        assert made.json()["counts"]["total"] == 2000
        assert peak[-1] - peak[0] < 60_000_000
