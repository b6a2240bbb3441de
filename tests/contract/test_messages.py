"""POST /v1/messages: Claude's own bytes in both directions, with the gateway's keys and usage."""

import base64
import hashlib
import json  # noqa: TID251 - what a client does with an event
from typing import Any

import anthropic
import httpx2
import pytest

from tests.contract.harness.gateway import UPSTREAM_KEY, Gateway
from tests.contract.harness.processes import until
from tests.contract.harness.simulator import Simulator

BODY = (
    b'{ "model" : "claude-haiku-5-5","max_tokens":64,\n "stream": %s, "metadata":{"user_id":"u"},'
    b' "system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1"}],'
    b' "messages":[{"role":"user","content":[{"type":"text","text":"h\\u00e4llo %s"}]}] }'
)
HEADERS = {"anthropic-version": "2023-06-01", "anthropic-beta": "b-2030-01-01,a-2025-01-01"}
READ_FILE: Any = {
    "name": "read_file",
    "description": "Reads a file",
    "input_schema": {
        "type": "object",
        "properties": {"path": {"type": "string"}},
        "required": ["path"],
    },
}


@pytest.fixture
def claude(gateway: Gateway) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=gateway.root_url, api_key=gateway.api_key, max_retries=0)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages?beta=true"])
@pytest.mark.parametrize("stream", [b"true", b"false"])
def test_p37_an_untouched_body_goes_upstream_byte_for_byte(
    path: str, stream: bytes, http: httpx2.Client, simulator: Simulator
) -> None:
    body = BODY % (stream, b"there")
    response = http.post(path, content=body, headers=HEADERS)
    assert response.status_code == 200, response.text
    record = simulator.requests()[-1]
    sent = base64.b64decode(record["body_base64"])
    assert hashlib.sha256(sent).digest() == hashlib.sha256(body).digest()
    assert ["anthropic-beta", HEADERS["anthropic-beta"]] in record["headers"]
    assert response.headers["request-id"] == record["request_id"]


def test_a_stream_comes_back_byte_for_byte(
    gateway: Gateway, http: httpx2.Client, simulator: Simulator, upstream: Simulator
) -> None:
    body = BODY % (b"true", b"[[sim:split 7]] [[sim:unknown]]")
    through = http.post("/v1/messages", content=body, headers=HEADERS).content
    direct = httpx2.post(
        upstream.base_url + "/v1/messages",
        content=body,
        headers={**HEADERS, "x-api-key": UPSTREAM_KEY},
    ).content
    kinds = [line for line in through.splitlines() if line.startswith(b"event:")]
    assert kinds == [line for line in direct.splitlines() if line.startswith(b"event:")]
    assert through.endswith(b"\n\n")


@pytest.mark.parametrize("stream", [b"true", b"false"])
@pytest.mark.parametrize(
    "marker", [b"[[sim:error 529]]", b"[[sim:error 429 retry_after=90]]", b"[[sim:error 400]]"]
)
def test_p62_errors_pass_unchanged(
    marker: bytes, stream: bytes, http: httpx2.Client, simulator: Simulator
) -> None:
    response = http.post("/v1/messages", content=BODY % (stream, marker), headers=HEADERS)
    record = simulator.requests()[-1]
    assert response.status_code == record["status"]
    assert response.json()["request_id"] == record["request_id"]
    assert response.headers["request-id"] == record["request_id"]


def test_an_error_in_the_middle_of_a_stream_passes_as_it_is(http: httpx2.Client) -> None:
    body = BODY % (b"true", b"[[sim:error overloaded after=3]]")
    response = http.post("/v1/messages", content=body, headers=HEADERS)
    assert response.status_code == 200
    assert b'event: error\ndata: {"type":"error"' in response.content.replace(b": {", b": {")


def test_p24_a_cut_stream_ends_with_an_error_event(http: httpx2.Client) -> None:
    body = BODY % (b"true", b"[[sim:cut bytes=600]]")
    response = http.post("/v1/messages", content=body, headers=HEADERS)
    *events, last = response.content.rstrip().split(b"\n\n")
    assert last.startswith(b"event: error")
    for event in events:
        json.loads(event.partition(b"data: ")[2])


def test_an_alias_is_edited_and_nothing_else(http: httpx2.Client, simulator: Simulator) -> None:
    body = (BODY % (b"false", b"there")).replace(b"claude-haiku-5-5", b"MYMODEL:claude-haiku-5-5")
    response = http.post("/v1/messages", content=body, headers=HEADERS)
    assert response.headers["x-routed-model"] == "claude-haiku-5-5"
    sent = base64.b64decode(simulator.requests()[-1]["body_base64"])
    assert sent == body.replace(b"MYMODEL:", b"")


def test_the_anthropic_sdk_streams_and_loops_over_tools(claude: anthropic.Anthropic) -> None:
    messages: list[Any] = [{"role": "user", "content": "Read the file notes.txt, please"}]
    for _ in range(2):
        with claude.messages.stream(
            model="claude-opus-5-5", max_tokens=2048, messages=messages, tools=[READ_FILE]
        ) as stream:
            answer = stream.get_final_message()
        calls = [block for block in answer.content if block.type == "tool_use"]
        if not calls:
            break
        messages.append({"role": "assistant", "content": answer.content})
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": "the canary sings"}
            for call in calls
        ]
        messages.append({"role": "user", "content": results})
    assert answer.stop_reason == "end_turn"
    assert "canary" in "".join(b.text for b in answer.content if b.type == "text")


def test_tokens_are_counted_upstream(claude: anthropic.Anthropic) -> None:
    count = claude.messages.count_tokens(
        model="claude-haiku-5-5", messages=[{"role": "user", "content": "hello"}]
    )
    assert count.input_tokens > 0


def test_typed_errors_of_the_sdk_arise(claude: anthropic.Anthropic) -> None:
    messages: Any = [{"role": "user", "content": "[[sim:error 529]]"}]
    with pytest.raises(anthropic.InternalServerError) as caught:
        claude.messages.create(model="claude-haiku-5-5", max_tokens=9, messages=messages)
    assert caught.value.status_code == 529
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(model="claude-sonet-5-5", max_tokens=9, messages=messages)


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[]", 400), (b"{}", 400), (b'{"model":"claude-x"}', 404)]
)
def test_the_gateways_own_refusals_have_anthropics_shape(
    body: bytes, status: int, http: httpx2.Client
) -> None:
    response = http.post("/v1/messages", content=body, headers=HEADERS)
    assert response.status_code == status
    assert response.json()["type"] == "error"
    assert response.json()["error"]["type"] in ("invalid_request_error", "not_found_error")


def test_probes_of_claude_code_are_answered(gateway: Gateway) -> None:
    for path in ("/", "/api/hello"):
        assert httpx2.head(gateway.root_url + path).status_code == 200


def test_usage_has_the_session_and_is_counted_once(gateway: Gateway, http: httpx2.Client) -> None:
    # A model that no other test here uses.
    body = BODY.replace(b"claude-haiku-5-5", b"claude-opus-4-7")
    session = {"x-claude-code-session-id": "session-1", "x-claude-code-agent-id": "agent-1"}
    for stream in (b"true", b"false"):
        response = http.post(
            "/v1/messages", content=body % (stream, b"count me"), headers={**HEADERS, **session}
        )
        assert response.status_code == 200
    until(lambda: _requests(gateway, "claude-opus-4-7") == 2, "both requests in the report")


def _requests(gateway: Gateway, model: str) -> int:
    rows = [row for row in gateway.usage()["by_model"] if row["model"] == model]
    return int(rows[0]["requests"]) if rows else 0
