"""What went wrong: GET /admin/errors and /admin/errors/stats."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from api.deps import require_admin
from gateway.errors import InvalidRequestError
from gateway.storage.error_store import AXES, ErrorFilter, ErrorStore

router = APIRouter(tags=["errors"], dependencies=[Depends(require_admin)])

_A_DAY = timedelta(days=1)
_EQUAL = ("project", "model", "upstream", "kind", "status", "request_id")


_Text = Annotated[str | None, Field(max_length=200, pattern=r"^[^\x00]*$")]
"""A label to look for; PostgreSQL knows no text with a NUL."""


class Which(BaseModel):
    """Which error events; what is left out does not matter."""

    since: datetime | None = Field(
        default=None, alias="from", description="From this moment on, ISO 8601"
    )
    until: datetime | None = Field(default=None, alias="to", description="Before this moment")
    project: _Text = None
    model: _Text = None
    upstream: _Text = None
    kind: _Text = Field(default=None, alias="type", description="Such as overloaded_error")
    status: int | None = Field(default=None, ge=0, le=999)
    request_id: _Text = None

    def filter(self, before_id: str | None = None) -> ErrorFilter:
        """The same as the store takes it."""
        given = ((name, getattr(self, name)) for name in _EQUAL)
        equals = tuple((name, value) for name, value in given if value is not None)
        return ErrorFilter(_utc(self.since), _utc(self.until), equals, before_id)


class Page(Which):
    """A page of them."""

    before: _Text = Field(default=None, description="`next` of the page before")
    limit: int = Field(default=100, ge=1, le=1000)


class Counting(Which):
    """By what they are counted."""

    by: str = Field(
        default="type,status,model,upstream",
        description="Comma list of " + ", ".join(AXES).replace("kind", "type"),
    )


def _store(request: Request) -> ErrorStore:
    store: ErrorStore = request.app.state.services.error_store
    return store


Store = Annotated[ErrorStore, Depends(_store)]


@router.get("/admin/errors")
async def list_errors(store: Store, page: Annotated[Page, Query()]) -> dict[str, Any]:
    """Error events, the newest first; `next` begins the next page, null after the last one."""
    events = await store.page(page.filter(page.before), page.limit + 1)
    has_more = len(events) > page.limit
    events = [{**event, "type": event.pop("kind")} for event in events[: page.limit]]
    return {"errors": events, "next": events[-1]["id"] if has_more else None}


@router.get("/admin/errors/stats")
async def count_errors(store: Store, counting: Annotated[Counting, Query()]) -> dict[str, Any]:
    """How many events there were by hour, in the last day when no time is given."""
    axes = ["kind" if name == "type" else name for name in counting.by.split(",") if name]
    unknown = [name for name in axes if name not in AXES]
    if unknown:
        raise InvalidRequestError(f"events are not counted by {unknown[0][:40]}", param="by")
    wanted = counting.filter()
    if wanted.since is None and wanted.until is None:
        wanted = ErrorFilter(datetime.now(UTC) - _A_DAY, None, wanted.equals)
    counts = await store.counts(wanted, list(dict.fromkeys(axes)))
    hours = [
        {("type" if name == "kind" else name): value for name, value in row.items()}
        for row in counts
    ]
    return {"total": sum(row["events"] for row in counts), "hours": hours}


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)
