"""A recorded conversation in one neutral form, whatever client or log it comes from."""

from pathlib import Path

from gateway.errors import GatewayError
from gateway.structs import Struct, field
from gateway.wire import JSONObject

MAX_TOKENS = 8192
"""`max_tokens` of requests whose log does not tell; no part of the bill."""


class SessionError(GatewayError):
    """A file of recorded sessions cannot be used; the message names it."""

    code = "unusable_sessions"


class RecordedUsage(Struct, frozen=True):
    """The tokens of a prompt as the API has billed them when it was sent."""

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0


class RecordedRequest(Struct, frozen=True):
    """One request: when it was sent, in seconds of the session's own clock, and what was said.

    `body` is that of an OpenAI chat completion without `model`; `answer` the assistant's message,
    None when it was not recorded; `usage` what was billed then, where the log tells.
    """

    seconds: float
    body: JSONObject
    answer: JSONObject | None
    usage: RecordedUsage | None = None


class Session(Struct, frozen=True):
    """A conversation: its requests in order, each with the whole history as the client sent it.

    `kind` is what figures are grouped by, `notes` say what the log did not hold and was assumed.
    """

    id: str
    kind: str
    client: str
    requests: list[RecordedRequest]
    notes: list[str] = field(default_factory=list)


class Problem(Struct, frozen=True):
    """Something in a file that was left out. `line` is None when it is the file as a whole."""

    path: Path
    line: int | None
    message: str

    def __str__(self) -> str:
        place = str(self.path) if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.message}"


class Reading(Struct):
    """What was read so far, and what could not be; `path` is the file being read."""

    path: Path
    sessions: list[Session] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, message: str, line: int | None = None) -> None:
        """Note what had to be left out."""
        self.problems.append(Problem(self.path, line, message))
