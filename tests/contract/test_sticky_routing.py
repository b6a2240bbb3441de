"""Routed names find their model by the work, once per conversation; ids are respected."""

from typing import Any

import httpx2

from tests.contract.harness.gateway import Gateway
from tests.contract.harness.processes import until
from tests.contract.harness.simulator import Simulator

DEMANDING = (
    "[[sim:text fine]] Production is down since the deploy: the payment service throws, customers "
    "cannot pay, and the migration of the orders table has stopped half-way. Find the root cause "
    "across services, design a safe migration with a rollback, and review it for security.\n"
    "Traceback (most recent call last):\n"
    '  File "billing/charge.py", line 88, in charge\n    raise IntegrityError("orders")\n'
)


def ask(http: httpx2.Client, messages: list[Any], model: str = "auto") -> httpx2.Response:
    answer = http.post("/v1/chat/completions", json={"model": model, "messages": messages})
    assert answer.status_code == 200, answer.text
    return answer


def test_demanding_work_goes_to_the_heavy_model_and_the_conversation_stays_there(
    http: httpx2.Client, simulator: Simulator
) -> None:
    messages: list[Any] = [{"role": "user", "content": DEMANDING}]
    for turn in range(4):
        answer = ask(http, messages)
        assert answer.headers["x-routed-model"] == "claude-opus-5-5"
        assert answer.headers["x-model-source"] == "custom"
        reason = answer.headers["x-route-reason"]
        assert reason.startswith("sticky" if turn else "score"), reason
        messages.append(answer.json()["choices"][0]["message"])
        messages.append({"role": "user", "content": "[[sim:text ok]] thanks"})
    assert {record["body"]["model"] for record in simulator.requests()} == {"claude-opus-5-5"}


def test_ordinary_work_goes_to_the_default_model(http: httpx2.Client) -> None:
    question = [
        {"role": "user", "content": "[[sim:text x]] Rename the variable a to b in utils.py"}
    ]
    assert ask(http, question).headers["x-routed-model"] == "claude-sonnet-5-5"


def test_short_calls_that_nobody_continues_go_to_the_small_model_unmarked(
    http: httpx2.Client, simulator: Simulator
) -> None:
    title = [
        {"role": "system", "content": "You are a title generator. You output ONLY a thread title."},
        {
            "role": "user",
            "content": "[[sim:text Title]] Generate a title for this conversation:\nhi",
        },
    ]
    answer = http.post(
        "/v1/chat/completions", json={"model": "auto", "messages": title, "max_tokens": 40}
    )
    assert answer.headers["x-routed-model"] == "claude-haiku-5-5"
    assert "cache_control" not in str(simulator.last())


def test_explicit_names_are_respected_whatever_is_asked(http: httpx2.Client) -> None:
    for name in ("claude-haiku-5-5", "MYMODEL:claude-sonnet-5-5"):
        answer = ask(http, [{"role": "user", "content": DEMANDING}], name)
        assert answer.headers["x-routed-model"] == name.removeprefix("MYMODEL:")
        assert answer.headers["x-route-reason"] == "explicit"


def test_a_decision_can_be_explained_afterwards(http: httpx2.Client, gateway: Gateway) -> None:
    answer = ask(http, [{"role": "user", "content": DEMANDING + "Really."}])
    request = answer.headers["x-request-id"]
    with gateway.admin() as admin:

        def explained() -> Any:
            found = admin.get("/admin/routing/explain", params={"request_id": request})
            return found.json()["decisions"] if found.status_code == 200 else None

        (decision,) = until(explained, "the usage row is stored")
        now = admin.post(
            "/admin/routing/explain",
            json={"model": "auto", "messages": [{"role": "user", "content": DEMANDING}]},
        ).json()
    assert decision["model"] == decision["replayed"] == now["model"] == "claude-opus-5-5"
    assert now["task_class"] == decision["task_class"]
    assert DEMANDING[20:60] not in str(decision)
