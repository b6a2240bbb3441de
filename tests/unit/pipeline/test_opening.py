"""Requests that were admitted: a reply, or an account that is closed and an upstream let go of."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.catalog.models import load_catalog
from gateway.context import Caller, Project, RequestContext
from gateway.errors import UpstreamCutError
from gateway.pipeline.accounting import Account, Accounting, Asked
from gateway.pipeline.attempts import Begun
from gateway.pipeline.cached_answers import ArrivedAnswer
from gateway.pipeline.live import LivePipeline
from gateway.pipeline.prepared import Prepare, Prepared, Started
from gateway.pipeline.reply import NOBODY, Reply
from gateway.protocols.shared.draft import ReplyPlan
from gateway.protocols.shared.sse import SSEFramer
from gateway.protocols.shared.usage import UsageMeter
from gateway.routing.names import Route
from gateway.telemetry.metrics import MetricStore
from gateway.usage.journal import Journal
from gateway.usage.segments import files_in, read_all

CATALOG = load_catalog()
MODEL = next(iter(CATALOG.models.values()))
CONTEXT = RequestContext("req_1", "/v1/chat/completions", {}, 0.0)
CONTEXT.caller = Caller(Project("web"), "bootstrap", frozenset({"chat"}))


class LetGo(ArrivedAnswer):
    """An answer, and the passage of its upstream, that note who let go of them."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def abort(self) -> None:
        self.noted.append("connection")

    def dropped(self) -> None:
        self.noted.append("passage")

    def succeeded(self) -> None:
        self.noted.append("success")


class Admitting(LivePipeline, frozen=True):
    """Admits every request."""

    async def _admit(
        self, context: RequestContext, _: bytes, __: Prepare
    ) -> tuple[Prepared, Account]:
        route = Route(MODEL, "anthropic", "explicit")
        asked = Asked(MODEL.id, stream=False)
        prepared = Prepared(ReplyPlan(MODEL.id), route, cast("Any", None))
        return prepared, self.accounting.open(context, asked, route)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LivePipeline]:
    journal, metrics = (
        Journal(tmp_path / "journal", "api"),
        MetricStore(tmp_path / "metrics", "api"),
    )
    part: Any = None  # nothing but the accounts is asked for
    accounting = Accounting(journal, metrics, CATALOG, "anthropic")
    yield Admitting(
        *(part, part, part, part, part, part, part),
        accounting=accounting,
        upstream="anthropic",
        from_simulator=False,
        prefixes=part,
    )
    journal.shut()
    metrics.close()


def closes(live: LivePipeline) -> list[dict[str, Any]]:
    journal = live.accounting.journal
    assert isinstance(journal, Journal)
    (file,) = files_in(journal.directory)
    return [record for record in read_all(file) if record["record"] == "close"]


async def opened(live: LivePipeline, error: BaseException | None, answer: LetGo) -> Reply:
    """Opens a request whose answer begins, and whose reply cannot be made because of `error`."""

    async def begin(_: RequestContext, account: Account, prepared: Prepared) -> Started:
        begun = Begun(answer, SSEFramer(), [], b"", 1, passage=cast("Any", answer))
        account.begun = begun
        return Started(prepared, begun, NOBODY)

    def reply(account: Account, started: Started) -> Reply:
        if error is not None:
            raise error
        return Reply(started.begun, UsageMeter(), account.settle)

    return await live.open(CONTEXT, b"{}", cast("Any", None), begin, reply)


@pytest.mark.parametrize(
    ("error", "status", "http_status"),
    [
        (UpstreamCutError("cut"), "error", 502),
        (ZeroDivisionError("nobody expects it"), "error", 500),
        (asyncio.CancelledError(), "aborted", 499),
    ],
)
async def test_a_request_without_a_reply_is_closed_once_and_lets_go_of_its_answer(
    live: LivePipeline, error: BaseException, status: str, http_status: int
) -> None:
    answer = LetGo()
    with pytest.raises(type(error)):
        await opened(live, error, answer)
    (closed,) = closes(live)
    assert (closed["status"], closed["http_status"]) == (status, http_status)
    assert answer.noted == ["connection", "passage"]


async def test_a_request_with_a_reply_is_closed_by_it(live: LivePipeline) -> None:
    answer = LetGo()
    reply = await opened(live, None, answer)
    assert not closes(live)
    assert not answer.noted
    reply.finished = True
    reply.settle()
    assert len(closes(live)) == 1
    assert answer.noted == ["connection", "success"]
