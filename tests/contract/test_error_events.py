"""What went wrong is found again: by request, by filter, counted, exported; without any text."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway import wire
from tests.contract.harness.gateway import PROMPT_CANARY, Gateway, api_beside
from tests.contract.harness.processes import until

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def beside(gateway: Gateway, contract_home: Path) -> Iterator[Gateway]:
    """An API process that exports its errors to a file."""
    home = contract_home / "errors"
    with api_beside(
        gateway, home, ERROR_EXPORT_FILE=str(home / "errors.jsonl"), RETRY_BACKOFF_BASE="0"
    ) as beside:
        yield beside


def ask(http: httpx2.Client, text: str, **fields: Any) -> httpx2.Response:
    messages = [{"role": "user", "content": f"{text} {PROMPT_CANARY}"}]
    return http.post(CHAT, json={"model": "claude-opus-5-5", "messages": messages, **fields})


def errors_of(admin: httpx2.Client, response: httpx2.Response, count: int) -> list[dict[str, Any]]:
    """The events of a request, the first one first, once they are there."""
    query = {"request_id": response.headers["x-request-id"]}

    def found() -> list[dict[str, Any]] | None:
        answer = admin.get("/admin/errors", params=query)
        assert answer.status_code == 200, answer.text
        assert PROMPT_CANARY not in answer.text
        events: list[dict[str, Any]] = answer.json()["errors"]
        return events if len(events) >= count else None

    events = until(found, "the events are stored")
    return sorted(events or [], key=lambda event: int(event["attempt"]))


def test_every_failed_attempt_of_a_request_is_found_by_its_id(beside: Gateway) -> None:
    began = datetime.now(UTC).isoformat()
    with beside.http() as http, beside.admin() as admin:
        response = ask(http, "[[sim:error overloaded_error]]")
        assert response.status_code == 503
        events = errors_of(admin, response, 3)
        assert [(each["attempt"], each["is_final"]) for each in events] == [
            (1, False),
            (2, False),
            (3, True),
        ]
        last = events[-1]
        assert (last["type"], last["code"], last["status"]) == (
            "overloaded_error",
            "overloaded",
            529,
        )
        assert (last["model"], last["project"]) == ("claude-opus-5-5", "default")
        assert (last["endpoint"], last["key_id"]) == (CHAT, "bootstrap")
        counted = admin.get("/admin/errors/stats", params={"from": began, "by": "type,status"})
        hours = counted.json()["hours"]
        assert {"overloaded_error"} <= {each["type"] for each in hours}
        assert counted.json()["total"] >= 3
    assert beside.metric("gateway_upstream_errors_total", error_type="overloaded") >= 3
    exported, own_id = beside.home / "errors.jsonl", response.headers["x-request-id"]

    def is_exported() -> bool:  # each place has a pace of its own
        lines = exported.read_bytes().splitlines() if exported.exists() else []
        return own_id in {wire.loads(line)["request_id"] for line in lines}

    until(is_exported, "the events are in the file")
    assert PROMPT_CANARY.encode() not in exported.read_bytes()


def test_what_fails_in_the_middle_and_what_the_gateway_refuses_is_there_too(
    beside: Gateway,
) -> None:
    with beside.http() as http, beside.admin() as admin:
        cut = ask(http, "[[sim:text hello there]][[sim:cut events=4]]", stream=True)
        assert cut.status_code == 200
        (event,) = errors_of(admin, cut, 1)
        assert (event["code"], event["is_final"]) == ("upstream_cut", True)
        refused = ask(http, "hi", temperature="warm")
        assert refused.status_code == 400
        (event,) = errors_of(admin, refused, 1)
        assert (event["source"], event["status"]) == ("gateway", 400)
    with beside.http("cgw_wrong") as http, beside.admin() as admin:
        (event,) = errors_of(admin, ask(http, "hi"), 1)
        assert (event["status"], event["project"]) == (401, "")


def test_filters_pages_and_nonsense(beside: Gateway) -> None:
    with beside.http() as http, beside.admin() as admin:
        for _ in range(3):
            last = ask(http, "hi", temperature="warm")
        errors_of(admin, last, 1)
        page = admin.get("/admin/errors", params={"limit": 1, "status": 400}).json()
        assert len(page["errors"]) == 1
        rest = admin.get(
            "/admin/errors", params={"limit": 1, "status": 400, "before": page["next"]}
        ).json()
        assert rest["errors"][0]["id"] < page["errors"][0]["id"]
        for query in ({"limit": 0}, {"from": "yesterday"}, {"status": "bad"}, {"model": "a\0"}):
            answer = admin.get("/admin/errors", params=query)
            assert answer.status_code == 400, query
        assert admin.get("/admin/errors/stats", params={"by": "text"}).status_code == 400


def test_errors_are_for_administrators(gateway: Gateway) -> None:
    with gateway.http("cgw_wrong") as http:
        assert http.get("/admin/errors").status_code == 401
        assert http.get("/admin/errors/stats").status_code == 401
