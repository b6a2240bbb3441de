"""Sessions as JSON lines, the format the gateway exports and its benches are kept in.

    {"session": {"id", "kind", "client", ...}}
    {"tools": [OpenAI tool definitions]}
    {"m": 0, "message": {OpenAI chat message}}                      the pool of messages
    {"r": 0, "t": seconds, "messages": [[a, b], ...], "response": m}

A request has the messages a to b - 1 of the pool for each pair, and was answered with message
`response`. A session may have `usage`, for each request what was billed: `[input, cache read, cache
write, output]`. Another `session` line begins the next session of the file.
"""

from collections.abc import Iterable, Iterator

from gateway import wire
from gateway.savings.session import MAX_TOKENS, Reading, RecordedRequest, RecordedUsage, Session
from gateway.structs import Struct, field
from gateway.wire import JSON, JSONObject

Line = tuple[int, JSONObject]
"""A line of a file, counted from 1, and the object on it."""


class _Parts(Struct):
    """The lines of one session; requests wait until the whole pool is known."""

    head: JSONObject
    tools: list[JSON] = field(default_factory=list)
    pool: dict[int, JSONObject] = field(default_factory=dict)
    requests: list[Line] = field(default_factory=list)


def is_neutral(lines: list[Line]) -> bool:
    """True for lines in this format."""
    return bool(lines) and isinstance(lines[0][1].get("session"), dict)


def read_neutral(lines: Iterable[Line], reading: Reading) -> None:
    """Adds the sessions on `lines` to `reading`, and its problems."""
    parts: _Parts | None = None
    for number, line in lines:
        if isinstance(line.get("session"), dict):
            if parts is not None:
                _finish(parts, reading)
            parts = _Parts(line["session"])
        elif parts is None:
            reading.problem("stands before the line that begins a session", number)
        elif not _take(parts, number, line):
            reading.problem("is no line of a recorded session", number)
    if parts is not None:
        _finish(parts, reading)


def _take(parts: _Parts, number: int, line: JSONObject) -> bool:
    message = line.get("message")
    if isinstance(line.get("m"), int) and isinstance(message, dict) and "role" in message:
        parts.pool[line["m"]] = message
    elif isinstance(line.get("tools"), list):
        parts.tools = line["tools"]
    elif "r" in line:
        parts.requests.append((number, line))
    else:
        return False
    return True


def _finish(parts: _Parts, reading: Reading) -> None:
    requests: list[RecordedRequest] = []
    for number, line in parts.requests:
        try:
            requests.append(_request(parts, line))
        except (KeyError, TypeError, ValueError):
            reading.problem("the request does not fit its session and was left out", number)
    head = parts.head
    session = Session(
        id=str(head.get("id") or reading.path.name.partition(".")[0]),
        kind=str(head.get("kind") or "other"),
        client=str(head.get("client") or ""),
        requests=requests,
        notes=[str(head["scaffold"])] if head.get("scaffold") else [],
    )
    reading.sessions.append(session)


def _request(parts: _Parts, line: JSONObject) -> RecordedRequest:
    pool = parts.pool
    messages = [pool[place] for first, end in line["messages"] for place in range(first, end)]
    if not messages:
        raise ValueError("no messages")
    body: JSONObject = {"messages": messages, "max_tokens": MAX_TOKENS}
    if parts.tools:
        body["tools"] = parts.tools
    response = line.get("response")
    answer = None if response is None else pool[response]
    return RecordedRequest(float(line["t"]), body, answer, _usage(parts.head, line["r"]))


def _usage(head: JSONObject, number: int) -> RecordedUsage | None:
    billed = head.get("usage")
    if not isinstance(billed, list) or number >= len(billed):
        return None
    plain, read, written, _ = map(int, billed[number])
    return RecordedUsage(plain, read, written)


def neutral_lines(session: Session) -> Iterator[bytes]:
    """The lines of a session, each with its end."""
    first = session.requests[0] if session.requests else None
    minutes = (session.requests[-1].seconds - first.seconds) / 60 if first is not None else 0.0
    head: JSONObject = {
        "id": session.id,
        "kind": session.kind,
        "client": session.client,
        "generated": False,
        "scaffold": "; ".join(session.notes),
        "requests": len(session.requests),
        "minutes": round(minutes, 1),
    }
    yield _line({"session": head})
    yield _line({"tools": first.body.get("tools") or [] if first is not None else []})
    pool = _Pool()
    requests: list[JSONObject] = []
    for number, request in enumerate(session.requests):
        places = [pool.place(message) for message in request.body["messages"]]
        answered = None if request.answer is None else pool.place(request.answer)
        requests.append(
            {
                "r": number,
                "t": round(request.seconds, 1),
                "messages": _ranges(places),
                "response": answered,
            }
        )
    for place, message in enumerate(pool.messages):
        yield _line({"m": place, "message": message})
    yield from map(_line, requests)


class _Pool:
    """The messages of a session, each once."""

    def __init__(self) -> None:
        self.messages: list[JSONObject] = []
        self._places: dict[bytes, int] = {}

    def place(self, message: JSONObject) -> int:
        key = wire.dumps_sorted(message)
        place = self._places.setdefault(key, len(self.messages))
        if place == len(self.messages):
            self.messages.append(message)
        return place


def _ranges(places: list[int]) -> list[list[int]]:
    ranges: list[list[int]] = []
    for place in places:
        if ranges and ranges[-1][1] == place:
            ranges[-1][1] = place + 1
        else:
            ranges.append([place, place + 1])
    return ranges


def _line(value: JSONObject) -> bytes:
    return wire.dumps(value) + b"\n"
