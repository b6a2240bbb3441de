"""The OpenAPI document says what the API does: requests, answers and errors are held against it."""

from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema
import pytest

from tests.contract.harness.gateway import Gateway, gateway_of, start_up
from tests.contract.harness.processes import passable_directory
from tests.contract.harness.simulator import running_simulator

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "[[sim:text hello]]"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with (
        passable_directory("gateway-openapi-") as home,
        running_simulator("--delta-delay", "0") as upstream,
        start_up(home, upstream.base_url, "--api-processes", "1") as up,
    ):
        yield gateway_of(up.wait_ready())


@pytest.fixture(scope="module")
def http(gateway: Gateway) -> Iterator[httpx2.Client]:
    with gateway.admin() as client:  # one that may do everything the document names
        yield client


@pytest.fixture(scope="module")
def document(http: httpx2.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/openapi.json").json()
    assert found["openapi"].startswith("3.1")
    return found


def validate(document: dict[str, Any], schema: Any, value: Any) -> None:
    """`value` fits `schema`, whose references are to the document."""
    whole = {**schema, "components": document.get("components", {})}
    jsonschema.Draft202012Validator.check_schema(whole)
    jsonschema.validate(value, whole, cls=jsonschema.Draft202012Validator)


def request_schema(document: dict[str, Any], path: str) -> Any:
    body = document["paths"][path]["post"]["requestBody"]
    assert body["required"]
    return body["content"]["application/json"]["schema"]


def answer_schema(operation: Any, response: httpx2.Response) -> Any:
    """The schema of an answer: of its status, else of its class of statuses."""
    answers = operation["responses"]
    status = str(response.status_code)
    found = answers.get(status) or answers.get(f"{status[0]}XX")
    assert found, f"{status} is not in the document"
    kind = response.headers["content-type"].partition(";")[0]
    return found["content"][kind].get("schema", {})


GOOD: list[tuple[str, dict[str, Any]]] = [
    (CHAT, {"model": "auto", "messages": MESSAGES}),
    (CHAT, {"model": "auto", "messages": MESSAGES, "max_completion_tokens": 100, "stream": False}),
    (CHAT, {"model": "auto", "messages": MESSAGES, "tools": [TOOL], "seed": 1, "stream": None}),
    (CHAT, {"model": "auto", "messages": MESSAGES, "tools": None, "unknown_field": [1]}),
    ("/chat", {"prompt": "hi"}),
    ("/chat", {"prompt": "hi", "system": "s", "model": "claude-haiku-5-5", "max_tokens": 500}),
    ("/chat", {"prompt": "hi", "system": None, "max_tokens": None}),
    ("/v1/responses", {"model": "auto", "input": "hi"}),
    ("/v1/responses", {"model": "auto", "input": [{"role": "user", "content": "hi"}]}),
    ("/v1/responses", {"model": "auto", "input": "hi", "background": True}),
    ("/v1/responses/input_tokens", {"model": "auto", "input": "hi"}),
    ("/v1/completions", {"model": "auto", "prompt": "def f("}),
    (
        "/v1/messages",
        {
            "model": "claude-haiku-5-5",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "hi"}],
        },
    ),
]
BAD: list[tuple[str, Any]] = [
    (CHAT, {"model": "auto"}),
    (CHAT, {"messages": MESSAGES}),
    (CHAT, {"model": "auto", "messages": []}),
    (CHAT, {"model": "auto", "messages": {}}),
    (CHAT, {"model": 7, "messages": MESSAGES}),
    (CHAT, {"model": "auto", "messages": ["hi"]}),
    (CHAT, {"model": "auto", "messages": MESSAGES, "stream": "yes"}),
    (CHAT, {"model": "auto", "messages": MESSAGES, "tools": "f"}),
    (CHAT, {"model": "auto", "messages": MESSAGES, "max_completion_tokens": 0}),
    (CHAT, {"model": "auto", "messages": MESSAGES, "max_completion_tokens": "9"}),
    (CHAT, []),
    ("/v1/responses", {"model": "auto", "input": 1}),
    ("/v1/responses", {"model": "auto", "input": "hi", "tools": "f"}),
    ("/v1/responses", {"input": "hi"}),
    ("/v1/messages", {"model": "claude-haiku-5-5", "messages": []}),
    ("/v1/messages", {"model": "", "messages": [], "max_tokens": 1}),
    ("/v1/completions", {"model": "auto"}),
    ("/chat", {}),
    ("/chat", {"prompt": ""}),
    ("/chat", {"prompt": 1}),
    ("/chat", {"prompt": "hi", "system": 1}),
    ("/chat", {"prompt": "hi", "temperature": 0}),
    ("/chat", {"prompt": "hi", "max_tokens": 0}),
    ("/chat", {"prompt": "hi", "model": 3}),
]


@pytest.mark.parametrize(("path", "body"), GOOD, ids=range(len(GOOD)))
def test_what_is_served_fits_the_document(
    document: dict[str, Any], http: httpx2.Client, path: str, body: dict[str, Any]
) -> None:
    validate(document, request_schema(document, path), body)
    response = http.post(path, json=body)
    assert response.status_code == 200, response.text
    operation = document["paths"][path]["post"]
    validate(document, answer_schema(operation, response), response.json())


@pytest.mark.parametrize(("path", "body"), BAD, ids=range(len(BAD)))
def test_what_the_document_forbids_is_refused_as_it_says(
    document: dict[str, Any], http: httpx2.Client, path: str, body: Any
) -> None:
    response = http.post(path, json=body)
    assert response.status_code == 400
    operation = document["paths"][path]["post"]
    validate(document, answer_schema(operation, response), response.json())
    with pytest.raises(jsonschema.ValidationError):
        validate(document, request_schema(document, path), body)


def test_a_stream_has_the_media_type_of_the_document(
    document: dict[str, Any], http: httpx2.Client
) -> None:
    body = {"model": "auto", "messages": MESSAGES, "stream": True}
    validate(document, request_schema(document, CHAT), body)
    response = http.post(CHAT, json=body)
    described = answer_schema(document["paths"][CHAT]["post"], response)
    assert described == {"description": "Server-sent events of the protocol"}


@pytest.mark.parametrize("marker", ["400", "401", "413", "429", "500", "529"])
def test_errors_of_the_upstream_fit_the_document(
    document: dict[str, Any], http: httpx2.Client, marker: str
) -> None:
    messages = [{"role": "user", "content": f"[[sim:error {marker}]]"}]
    response = http.post(CHAT, json={"model": "auto", "messages": messages})
    assert response.status_code >= 400
    operation = document["paths"][CHAT]["post"]
    validate(document, answer_schema(operation, response), response.json())


WANT_A_NAME = {"/admin/routing/explain"}  # of a request or a conversation


HAVE_TO_END = {"/v1/messages/batches/{batch_id}/results"}


def _batch_of_form(http: httpx2.Client, path: str, file: str) -> str:
    """The id of a new batch that the path can show."""
    ask: dict[str, Any] = {"model": "auto", "messages": MESSAGES}
    body: dict[str, Any]
    if path.startswith("/v1/batches"):
        form = "/v1/batches"
        body = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"}
    elif path.startswith("/v1/messages"):
        params = {**ask, "max_tokens": 9}
        form, body = "/v1/messages/batches", {"requests": [{"custom_id": "a", "params": params}]}
    else:
        form, body = "/v1/batch", {"requests": [ask]}
    return str(http.post(form, json=body).json()["id"])


def test_every_documented_path_answers(document: dict[str, Any], http: httpx2.Client) -> None:
    stored = http.post("/v1/responses", json={"model": "auto", "input": "hi"}).json()["id"]
    upload = {"file": ("in.jsonl", b"none")}
    file = http.post("/v1/files", files=upload, data={"purpose": "batch"}).json()["id"]
    later = {"prefer": "respond-async"}
    ask = {"model": "auto", "messages": MESSAGES}
    completion = http.post(CHAT, json=ask, headers=later).json()["id"]
    for path, operations in document["paths"].items():
        batch = _batch_of_form(http, path, file) if "{batch_id}" in path else ""
        for method, operation in operations.items():
            assert operation.get("summary")
            if method != "get":
                continue
            names = {"name": "auto", "response_id": stored, "file_id": file, "batch_id": batch}
            response = http.get(path.format(**names, completion_id=completion))
            if path in HAVE_TO_END:
                assert response.status_code == 404, path
                continue
            if path in WANT_A_NAME:
                assert response.status_code == 400, path
                continue
            assert response.status_code in (200, 202), path
            if response.headers["content-type"].startswith("application/json"):
                validate(document, answer_schema(operation, response), response.json())


@pytest.mark.parametrize(
    ("path", "query"), [("/v1/models", {"limit": 0}), ("/admin/usage", {"from": "yesterday"})]
)
def test_wrong_queries_are_answered_as_documented(
    document: dict[str, Any], http: httpx2.Client, path: str, query: dict[str, Any]
) -> None:
    operation = document["paths"][path]["get"]
    response = http.get(path, params=query)
    assert response.status_code == 400
    assert "422" not in operation["responses"], "nothing here answers 422"
    validate(document, answer_schema(operation, response), response.json())


def test_the_page_for_people_is_served(http: httpx2.Client) -> None:
    page = http.get("/docs")
    assert page.status_code == 200
    assert "/openapi.json" in page.text
