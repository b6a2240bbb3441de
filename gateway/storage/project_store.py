"""Projects and their API keys, read by the hash of a key; no raw key ever comes here."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.context import DEFAULT_PROJECT_ID
from gateway.policies import Limits
from gateway.storage.database import database_errors
from gateway.storage.tables import api_keys, projects
from gateway.structs import Struct

_LIMITS = Limits.__struct_fields__


class KeyRow(Struct, frozen=True):
    """A key that is valid now, with what its project allows.

    `project_limits` and `key_limits` are those that are set, by the names of `Limits`. `expires_at`
    lets a cache drop the row in time.
    """

    key_id: str
    project_id: str
    scopes: frozenset[str]
    project_limits: dict[str, float]
    key_limits: dict[str, float]
    expires_at: datetime | None


class ProjectStore:
    """Statements on `projects` and `api_keys`. Every method raises UnavailableError."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find_key(self, key_hash: str) -> KeyRow | None:
        """The key of that SHA-256 hex digest; None when unknown, revoked, expired or archived."""
        statement = (
            select(
                api_keys.c.id,
                api_keys.c.project_id,
                api_keys.c.scopes,
                api_keys.c.expires_at,
                *(table.c[name] for table in (projects, api_keys) for name in _LIMITS),
            )
            .join(projects, projects.c.id == api_keys.c.project_id)
            .where(
                api_keys.c.key_hash == key_hash,
                api_keys.c.revoked_at.is_(None),
                projects.c.archived_at.is_(None),
                or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > func.now()),
            )
        )
        async with database_errors(), self._engine.connect() as connection:
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            return None
        key_id, project_id, scopes, expires_at, *values = row
        count = len(_LIMITS)
        return KeyRow(
            key_id,
            project_id,
            frozenset(scopes),
            _set_limits(values[:count]),
            _set_limits(values[count:]),
            expires_at,
        )

    async def limits_of(
        self, project_id: str, key_id: str
    ) -> tuple[dict[str, float], dict[str, float]]:
        """The limits of a project and of one of its keys, whatever has become of the key."""
        of_project = select(*(projects.c[name] for name in _LIMITS)).where(
            projects.c.id == project_id
        )
        of_key = select(*(api_keys.c[name] for name in _LIMITS)).where(
            api_keys.c.id == key_id, api_keys.c.project_id == project_id
        )
        async with database_errors(), self._engine.connect() as connection:
            project = (await connection.execute(of_project)).one_or_none()
            key = (await connection.execute(of_key)).one_or_none()
        return _set_limits(project or ()), _set_limits(key or ())

    async def ensure_default(
        self, project_id: str = DEFAULT_PROJECT_ID, name: str = "Default"
    ) -> None:
        """Makes the project when it is missing; changes nothing otherwise."""
        statement = insert(projects).values(id=project_id, name=name).on_conflict_do_nothing()
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(statement)

    async def add_key(
        self,
        key_id: str,
        project_id: str,
        key_hash: str,
        *,
        prefix: str = "",
        scopes: Iterable[str] = ("chat",),
        expires_at: datetime | None = None,
    ) -> None:
        """Stores a key by its hash. `prefix` is the part that may be shown."""
        statement = insert(api_keys).values(
            id=key_id,
            project_id=project_id,
            key_hash=key_hash,
            prefix=prefix,
            scopes=sorted(scopes),
            expires_at=expires_at,
        )
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(statement)

    async def revoke_key(self, key_id: str) -> bool:
        """Ends a key for good; False when there is no such key or it was revoked before."""
        statement = (
            api_keys.update()
            .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
            .values(revoked_at=func.now())
            .returning(api_keys.c.id)
        )
        async with database_errors(), self._engine.begin() as connection:
            return (await connection.execute(statement)).one_or_none() is not None


def _set_limits(values: Sequence[int | Decimal | None]) -> dict[str, float]:
    """The limits that are set, by name; whole numbers stay whole."""
    return {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in zip(_LIMITS, values, strict=bool(values))
        if value is not None
    }
