"""Batches that are followed, too large, switched off, or named by what no text can be."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from gateway import wire
from tests.contract.harness.batches import MODEL, chat, done, failed, finish, nothing_executed
from tests.contract.harness.gateway import Gateway, api_beside


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_executed(gateway: Gateway) -> Iterator[None]:
    with nothing_executed(gateway):
        yield


def test_results_are_followed_until_the_batch_has_ended(
    gateway: Gateway, http: httpx2.Client
) -> None:
    made = http.post("/v1/batch", json={"requests": [chat() for _ in range(4)]}).json()
    path = f"/v1/batch/{made['id']}/results"
    assert http.get(path, params={"follow": "1", "limit": 1}).status_code == 400
    finish(gateway, made["id"], [done(2)], "in_progress")
    with http.stream("GET", path, params={"follow": "1"}) as answer:
        lines = (wire.loads(line) for line in answer.iter_lines() if line)
        assert next(lines)["index"] == 2
        finish(gateway, made["id"], [failed(0)])
        assert next(lines)["index"] == 0
        finish(gateway, made["id"], [done(3), done(1)], "finalizing", "completed")
        assert {line["index"] for line in lines} == {1, 3}
    with http.stream("GET", path, params={"follow": "1"}) as answer:
        assert len([line for line in answer.iter_lines() if line]) == 4


def test_a_batch_that_is_too_large_is_told_to_go_by_file(gateway: Gateway, tmp_path: Path) -> None:
    with (
        api_beside(gateway, tmp_path, MAX_BODY_BYTES="100000") as small,
        small.http() as http,
    ):
        answer = http.post("/v1/batch", json={"requests": [chat("x" * 1000)] * 200})
    assert answer.status_code == 413
    assert "input_file_id" in answer.json()["error"]["message"]


def test_batches_can_be_switched_off(gateway: Gateway, tmp_path: Path) -> None:
    with (
        api_beside(gateway, tmp_path, ENABLE_BATCH_API="0") as without,
        without.http() as http,
    ):
        for path in ("/v1/batch", "/v1/batches", "/v1/files", "/v1/messages/batches"):
            for method in ("GET", "POST"):
                answer = http.request(method, path)
                assert answer.status_code == 404, path
                error = answer.json()["error"]
                assert error["type"] in ("not_found_error", "invalid_request_error"), error
        ask = {"model": MODEL, "input": "[[sim:text still there]]"}
        assert http.post("/v1/responses", json=ask).status_code == 200


@pytest.mark.parametrize("escape", [b"\\u0000", b"\\ud800"])
def test_names_that_no_text_can_have_are_refused(http: httpx2.Client, escape: bytes) -> None:
    requests = [chat()]
    for body, param in (
        ({"requests": requests, "metadata": {"a": "_X_"}}, "metadata"),
        ({"requests": requests, "metadata": {"_X_": "a"}}, "metadata"),
        ({"requests": [{**chat(), "custom_id": "a_X_"}]}, "requests[0].custom_id"),
        ({"requests": requests, "webhook": "http://x/_X_"}, "webhook"),
        ({"input_file_id": "file-_X_"}, "input_file_id"),
    ):
        sent = wire.dumps(body).replace(b"_X_", escape)
        answer = http.post("/v1/batch", content=sent)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["param"] == param


def test_places_that_no_text_can_be_are_refused(http: httpx2.Client) -> None:
    for path in (
        "/v1/batch/batch_%00",
        "/v1/batch?after=%00",
        "/v1/files/file-%00",
        "/v1/batches/batch_%00",
        "/v1/messages/batches/msgbatch_%00",
        "/v1/responses/resp_%00",
        "/v1/responses/resp_bg%00",
        "/v1/chat/completions/chatcmpl-bg%00",
    ):
        assert http.get(path).status_code == 400, path
    ask = {"model": MODEL, "input": "x", "previous_response_id": "resp_\0"}
    assert http.post("/v1/responses", json=ask).status_code == 400
