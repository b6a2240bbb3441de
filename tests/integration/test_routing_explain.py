"""The admin endpoint that explains decisions, on a real database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Receive, Scope, Send

from api.deps import require_admin
from api.errors import install_error_handlers
from api.middleware import Edge, EdgeMiddleware
from api.routes.admin.routing import router as routes
from gateway.config import Settings
from gateway.context import Caller, Project
from gateway.policies import RoutingPolicy
from gateway.routing.outcomes import Counts
from gateway.routing.replay import RoutingExplanations
from gateway.storage.routing_outcomes import RoutingOutcomeStore
from gateway.storage.usage_store import UsageStore
from gateway.wire import JSONObject
from tests.unit.routing.router_parts import DEFAULT, HEAVY, asking, chat, router

HI = b'{"model":"auto","messages":[{"role":"user","content":"hi"}]}'
PATH = "/admin/routing/explain"
INCIDENT = "Production is down since the deploy, find the root cause"
KNOWN = [("debugging", DEFAULT.id, Counts(11.123, 9.5)), ("debugging", HEAVY.id, Counts(7.25, 2))]


@pytest.fixture
async def client(engine: AsyncEngine) -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI()
    settings = Settings(_env_file=None)
    app.add_middleware(EdgeMiddleware, edge=Edge(settings))
    install_error_handlers(app)
    app.include_router(routes)
    caller = Caller(Project("default"), "k", frozenset({"admin"}))
    app.dependency_overrides[require_admin] = lambda: caller
    app.state.settings = settings
    app.state.services = SimpleNamespace(
        settings=settings,
        routing=RoutingExplanations(router(KNOWN), RoutingOutcomeStore(engine)),
        projects=SimpleNamespace(
            policy=lambda name: Project(name, routing=RoutingPolicy(heavy_threshold=0.0))
        ),
    )

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {}}, receive, send)

    transport = httpx2.ASGITransport(app=served)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def body(text: str, model: str = "auto") -> JSONObject:
    return {"model": model, "messages": [{"role": "user", "content": text}]}


async def store(engine: AsyncEngine, text: str, count: int) -> list[str]:
    """Rows of decisions about `text` in as many conversations; the models that were chosen."""
    now = datetime.now(UTC)
    rows, chosen = [], []
    for number in range(count):
        conversation = number.to_bytes(16, "big")
        decision = router(KNOWN).decide(chat(text), asking(conversation))
        chosen.append(decision.route.model.id)
        rows.append(
            {
                "event_id": f"e{number:03}",
                "day": now.date().isoformat(),
                "started_at": now.isoformat(),
                "project": "default",
                "request_id": f"r{number}",
                "model": decision.route.model.id,
                "status": "ok",
                "conversation": conversation.hex(),
                "task_class": decision.task_class,
                "route_reason": decision.route.reason,
                "route_detail": decision.detail,
            }
        )
    await UsageStore(engine).store(rows)
    return chosen


async def test_a_stored_decision_is_replayed_from_its_numbers(
    client: httpx2.AsyncClient, engine: AsyncEngine
) -> None:
    chosen = await store(engine, "Debug this crash", 40)
    assert len(set(chosen)) == 2  # what is drawn differs, and is replayed all the same
    for number, model in enumerate(chosen):
        found = (await client.get(PATH, params={"request_id": f"r{number}"})).json()
        (decision,) = found["decisions"]
        assert decision["model"] == decision["replayed"] == model
    named = await client.get(PATH, params={"conversation": (3).to_bytes(16, "big").hex()})
    assert [each["request_id"] for each in named.json()["decisions"]] == ["r3"]
    parts = named.json()["decisions"][0]["route_detail"]["parts"]
    assert sum(parts.values()) == pytest.approx(
        named.json()["decisions"][0]["route_detail"]["score"]
    )


async def test_what_is_unknown_is_said(client: httpx2.AsyncClient) -> None:
    assert (await client.get(PATH, params={"request_id": "none"})).status_code == 404
    assert (await client.get(PATH)).status_code == 400


async def test_a_chat_is_explained_as_it_would_be_decided_now(client: httpx2.AsyncClient) -> None:
    found = (await client.post(PATH, json=body(INCIDENT))).json()
    assert found["model"] == HEAVY.id
    assert found["task_class"] == "incident"
    assert found["detail"]["parts"]["incident"] > 0
    assert found["switch"] is None
    learned = (await client.post(PATH, json=body("Debug this crash"))).json()
    models = {each["model"]: each for each in learned["detail"]["models"]}
    assert models[DEFAULT.id]["successes"] == 11.123
    explicit = (await client.post(PATH, json=body("hi", "claude-haiku-5-5"))).json()
    assert (explicit["model"], explicit["reasons"]) == ("claude-haiku-5-5", ["explicit"])


async def test_the_price_of_a_switch_grows_with_what_is_cached(client: httpx2.AsyncClient) -> None:
    async def price(**wanted: int) -> float:
        answer = await client.post(PATH, params=wanted, json=body("Add a flag"))
        return float(answer.json()["switch"]["price_usd"])

    assert await price(cached_tokens=0) == 0
    assert await price(cached_tokens=100_000) == pytest.approx(0.49)
    assert await price() < 0.01


async def test_another_projects_policy_can_be_asked_for(client: httpx2.AsyncClient) -> None:
    asked = await client.post(PATH, params={"project": "web"}, json=body("Add a flag"))
    assert asked.json()["model"] == HEAVY.id  # its threshold is 0


@pytest.mark.parametrize(
    ("content", "params"),
    [(b"{", {}), (b"[]", {}), (b'{"model":"auto"}', {}), (HI, {"conversation": "not hex"})],
)
async def test_what_cannot_be_explained_is_refused(
    client: httpx2.AsyncClient, content: bytes, params: dict[str, str]
) -> None:
    assert (await client.post(PATH, params=params, content=content)).status_code == 400
