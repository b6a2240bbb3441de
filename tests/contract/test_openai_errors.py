"""Every failure of the upstream as the official OpenAI package reports it."""

from typing import Any, NamedTuple

import httpx2
import openai
import pytest

from tests.contract.harness.gateway import UPSTREAM_KEY, Gateway
from tests.contract.harness.simulator import Simulator

MODEL = "claude-sonnet-5-5"
TOO_LONG = '400 message="prompt is too long: 300000 tokens > 200000 maximum"'
SPENT = '400 message="You have reached your specified workspace API usage limits."'


class Row(NamedTuple):
    """A failure of the upstream, and what the client sees after so many attempts."""

    marker: str
    kind: type[openai.APIStatusError]
    status: int
    code: str
    error_type: str
    attempts: int

    def __str__(self) -> str:
        return f"{self.marker.split('message')[0].strip()}-{self.code}"


ROWS: list[tuple[str, type[openai.APIStatusError], int, str, str, int]] = [
    ("400", openai.BadRequestError, 400, "invalid_value", "invalid_request_error", 1),
    (TOO_LONG, openai.BadRequestError, 400, "context_length_exceeded", "invalid_request_error", 1),
    (SPENT, openai.RateLimitError, 429, "insufficient_quota", "insufficient_quota", 1),
    ("401", openai.InternalServerError, 502, "upstream_auth", "server_error", 1),
    ("402", openai.RateLimitError, 429, "insufficient_quota", "insufficient_quota", 1),
    ("403", openai.PermissionDeniedError, 403, "permission_denied", "invalid_request_error", 1),
    ("404", openai.NotFoundError, 404, "not_found", "invalid_request_error", 1),
    (
        '404 message="model: claude-none"',
        openai.NotFoundError,
        404,
        "model_not_found",
        "invalid_request_error",
        1,
    ),
    ("409", openai.ConflictError, 409, "conflict", "invalid_request_error", 3),
    ("413", openai.APIStatusError, 413, "request_too_large", "invalid_request_error", 1),
    ("429", openai.RateLimitError, 429, "rate_limit_exceeded", "rate_limit_error", 3),
    (
        "429 code=enforced_spend_limit_reached",
        openai.RateLimitError,
        429,
        "insufficient_quota",
        "insufficient_quota",
        1,
    ),
    ("500", openai.InternalServerError, 502, "upstream_error", "server_error", 3),
    ("503", openai.InternalServerError, 503, "upstream_unavailable", "server_error", 3),
    ("504", openai.InternalServerError, 504, "timeout", "server_error", 3),
    ("529", openai.InternalServerError, 503, "overloaded", "server_error", 3),
    ("529 after=0", openai.InternalServerError, 503, "overloaded", "server_error", 3),
]


def ask(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("row", [Row(*row) for row in ROWS], ids=str)
def test_p23_p25_errors_before_the_first_event_keep_their_status(
    client: Any,
    simulator: Simulator,
    gateway: Gateway,
    stream: bool,
    row: Row,
) -> None:
    with pytest.raises(row.kind) as caught:
        client.chat.completions.create(**ask(f"[[sim:error {row.marker}]]", stream=stream))
    error = caught.value
    assert type(error) is row.kind
    assert (error.status_code, error.code, error.type) == (row.status, row.code, row.error_type)
    assert set(error.response.json()) == {"error"}
    assert set(error.response.json()["error"]) == {"message", "type", "param", "code"}
    assert error.request_id is not None
    assert error.request_id.startswith("req_")
    assert error.response.headers["x-should-retry"] == "false"
    assert len(simulator.requests()) == row.attempts
    for secret in (UPSTREAM_KEY, gateway.api_key, "127.0.0.1"):
        assert secret not in error.response.text


def test_p14_the_words_of_an_overflow_stay(client: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="300000 tokens > 200000 maximum"):
        client.chat.completions.create(**ask(f"[[sim:error {TOO_LONG}]]"))


def test_a_long_wait_is_left_to_the_client_with_its_time(client: Any, simulator: Simulator) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(**ask("[[sim:error 429 retry_after=90]]"))
    headers = caught.value.response.headers
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("90", "90000")
    assert len(simulator.requests()) == 1


def test_a_passing_failure_is_repeated_without_the_clients_knowledge(
    client: Any, simulator: Simulator
) -> None:
    overloaded: dict[str, Any] = {"error": {"type": "overloaded_error"}}
    first_event = {"error": {"type": "overloaded_error", "after_events": 0}, "blocks": []}
    well = {"blocks": [{"type": "text", "text": "well again"}]}
    simulator.script(overloaded, first_event, well)
    chunks = list(client.chat.completions.create(**ask("hi", stream=True)))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "well again"
    assert [chunk.choices[0].delta.role for chunk in chunks].count("assistant") == 1
    assert len(simulator.requests()) == 3


def test_p51_attempts_of_the_client_are_taken_off_the_gateways(
    http: httpx2.Client, simulator: Simulator
) -> None:
    headers = {"x-stainless-retry-count": "2"}
    response = http.post("/v1/chat/completions", json=ask("[[sim:error 529]]"), headers=headers)
    assert response.status_code == 503
    assert len(simulator.requests()) == 1


@pytest.mark.parametrize("kind", ["overloaded", "api_error", "rate_limit_error"])
def test_p23_an_error_inside_the_stream_is_an_error_of_the_sdk(client: Any, kind: str) -> None:
    text = f"[[sim:text some words in a row]][[sim:error {kind} after=6]]"
    seen: list[Any] = []
    with pytest.raises(openai.APIError) as caught:
        seen.extend(client.chat.completions.create(**ask(text, stream=True)))
    assert type(caught.value) is openai.APIError
    assert caught.value.code in {"overloaded", "upstream_error", "rate_limit_exceeded"}
    assert caught.value.message


@pytest.mark.parametrize(
    "fault",
    [
        "[[sim:cut events=5]]",
        "[[sim:cut bytes=900]]",
        "[[sim:cut events=5 reset=1]]",
        "[[sim:malformed events=4]]",
        "[[sim:pings count=2 only=1]]",
    ],
)
def test_p24_a_stream_that_was_cut_never_looks_complete(http: httpx2.Client, fault: str) -> None:
    text = f"[[sim:text one two three four five six seven]]{fault}"
    with http.stream("POST", "/v1/chat/completions", json=ask(text, stream=True)) as response:
        assert response.status_code == 200
        body = response.read().decode()
    assert '"finish_reason":"' not in body
    assert "[DONE]" not in body
    last = [event for event in body.split("\n\n") if event.startswith("data: ")][-1]
    assert last.startswith('data: {"error":{')


@pytest.mark.parametrize("fault", ["[[sim:cut events=5]]", "[[sim:cut events=5 reset=1]]"])
@pytest.mark.parametrize("stream", [False, True])
def test_p24_a_cut_answer_raises(client: Any, fault: str, stream: bool) -> None:
    text = f"[[sim:text one two three four five six seven]]{fault}"
    with pytest.raises(openai.APIError) as caught:
        list(client.chat.completions.create(**ask(text, stream=stream)))
    assert caught.value.code == "upstream_cut"
    if not stream:
        assert isinstance(caught.value, openai.APIStatusError)
        assert caught.value.status_code == 502


def test_p22_a_call_cut_in_its_arguments_is_no_call(http: httpx2.Client) -> None:
    text = (
        '[[sim:tool write {"path": "a", "content": "rm -rf the whole thing"}]][[sim:cut events=6]]'
    )
    tools = [{"type": "function", "function": {"name": "write"}}]
    body = ask(text, stream=True, tools=tools, model="claude-haiku-5-5", reasoning_effort="none")
    events = http.post("/v1/chat/completions", json=body).text
    assert "tool_calls" in events  # it had begun
    assert '"finish_reason":"' not in events
    assert '"error"' in events


@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_before_the_first_event_is_tried_again(
    client: Any, simulator: Simulator, stream: bool
) -> None:
    simulator.script(
        {"delivery": {"cut_bytes": 0, "reset": True}}, {"blocks": [{"type": "text", "text": "ok"}]}
    )
    answer = client.chat.completions.create(**ask("hi", stream=stream))
    if stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in answer) == "ok"
    else:
        assert answer.choices[0].message.content == "ok"
    assert len(simulator.requests()) == 2


def test_p13_a_limit_of_our_own_making_is_shrunk_and_tried_again(
    client: Any, simulator: Simulator
) -> None:
    words = "input length and `max_tokens` exceed context limit: 150000 + 128000 > 200000"
    refusal = {"error": {"type": "invalid_request_error", "message": words}}
    simulator.script(refusal)
    assert client.chat.completions.create(**ask("hi")).choices[0].finish_reason == "stop"
    assert [each["body"]["max_tokens"] for each in simulator.requests()] == [128_000, 50_000]
    simulator.forget()
    simulator.script(refusal)
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**ask("hi", max_tokens=100_000))
    assert caught.value.code == "context_length_exceeded"
    assert len(simulator.requests()) == 1
