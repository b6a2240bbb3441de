"""Who calls and what is known of one request while it runs."""

import re
from collections.abc import Mapping

from gateway.cohorts import APART, Apart
from gateway.policies import (
    NO_LIMITS,
    Limits,
    ReductionPolicy,
    ReliabilityPolicy,
    ResponseCachePolicy,
    RoutingPolicy,
)
from gateway.structs import Struct, field

DEFAULT_PROJECT_ID = "default"

_NOT_IN_HEADERS = re.compile(r"[^\x20-\x7e]")
_HEADER_LIMIT_CHARS = 1000


class Project(Struct, frozen=True):
    """A tenant: the unit of limits, usage and isolation. `id` is a stable slug."""

    id: str
    limits: Limits = NO_LIMITS
    reduction: ReductionPolicy = field(default_factory=ReductionPolicy)
    routing: RoutingPolicy = field(default_factory=RoutingPolicy)
    response_cache: ResponseCachePolicy = field(default_factory=ResponseCachePolicy)
    reliability: ReliabilityPolicy = field(default_factory=ReliabilityPolicy)


class Caller(Struct, frozen=True):
    """An authenticated key: its project, its id in the table (or "bootstrap") and its scopes.

    `limits` are the key's own, beside those of the project.
    """

    project: Project
    key_id: str
    scopes: frozenset[str]
    limits: Limits = NO_LIMITS

    def may(self, scope: str) -> bool:
        """True when the key carries the scope ("chat", "admin")."""
        return scope in self.scopes


class RequestContext(Struct):
    """One HTTP request on its way: identity, timing and what was noted on the way.

    `headers` are the client's, names in lower case. `received_at` is `time.monotonic()`;
    `ignored` are the names of request fields that were dropped for want of a counterpart;
    `response_headers` are set by the steps that know them and sent with the answer, whatever it
    will be. `cohorts` are those of the process it goes through.
    """

    request_id: str
    endpoint: str
    headers: Mapping[str, str]
    received_at: float
    caller: Caller | None = None
    ignored: list[str] = field(default_factory=list)
    response_headers: dict[str, str] = field(default_factory=dict)
    cohorts: Apart = APART

    def set_header(self, name: str, value: str) -> None:
        """Send `value` with the answer; what a header cannot carry becomes "?"."""
        self.response_headers[name] = _NOT_IN_HEADERS.sub("?", value)[:_HEADER_LIMIT_CHARS]

    def known_caller(self) -> Caller:
        """The caller of a request that has been authenticated."""
        if self.caller is None:
            raise RuntimeError("the request has not been authenticated")
        return self.caller
