"""The items of a batch from a client's JSON or from lines of a file, one at a time in memory."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence

from gateway import wire
from gateway.batches.checks import ItemChecks
from gateway.errors import InvalidRequestError
from gateway.protocols.shared.reading import storable
from gateway.storage.batch_items_store import NewItem
from gateway.structs import Struct, field
from gateway.wire import JSON, JSONObject

MAX_ITEMS = 100_000
"""Most items of a batch, Claude's own limit for one."""

MAX_LINE_BYTES = 32_000_000
"""Longest line of a file: Claude takes no larger request."""

_MOST_PROBLEMS = 50
_AT_A_TIME = 20  # items read before others may use the process
_ANTHROPIC_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}").fullmatch
_CUSTOM_ID_CHARS = 512


class InputRefusedError(Exception):
    """Lines of a file that cannot be executed: `{"code", "message", "param", "line"}` each."""

    def __init__(self, problems: list[JSONObject]) -> None:
        super().__init__("the input file was refused")
        self.problems = problems


class Asked(Struct, frozen=True):
    """An item as the client wrote it. `path` is where its body stands."""

    custom_id: JSON
    body: JSON
    path: str


class _Names(Struct):
    """The custom ids of one batch; each may stand there once."""

    seen: set[str] = field(default_factory=set)

    def take(self, given: JSON, path: str, *, strict: bool = False) -> str:
        if not isinstance(given, str) or not given:
            raise InvalidRequestError(f"{path} must be a string", param=path, code="invalid_type")
        storable(given, path)
        if strict and not _ANTHROPIC_ID(given):
            raise InvalidRequestError(
                f"{path} must have 1 to 64 letters, digits, _ and -", param=path
            )
        if len(given) > _CUSTOM_ID_CHARS:
            raise InvalidRequestError(f"{path} is longer than 512 characters", param=path)
        if given in self.seen:
            raise InvalidRequestError(
                f"{path} is used twice in this batch", param=path, code="duplicate_custom_id"
            )
        self.seen.add(given)
        return given


async def items_of(
    requests: Sequence[JSON],
    read: Callable[[JSON, int], Asked],
    checks: ItemChecks,
    endpoint: str,
) -> AsyncIterator[NewItem]:
    """The items in the client's JSON. Raises InvalidRequestError with the path of the first bad."""
    names = _Names()
    strict = endpoint == "/v1/messages"
    for number, request in enumerate(requests):
        if number % _AT_A_TIME == 0:
            await asyncio.sleep(0)
        asked = read(request, number)
        custom_id = names.take(asked.custom_id, f"requests[{number}].custom_id", strict=strict)
        checked = checks.check(endpoint, asked.body, asked.path)
        yield NewItem(number, custom_id, checked.body, checked.prefix)


async def items_of_lines(
    chunks: AsyncIterator[bytes], checks: ItemChecks, endpoint: str
) -> AsyncIterator[NewItem]:
    """The items in the lines of a file in OpenAI's form.

    All lines are looked at, so that a client hears of more than the first bad one. Raises
    InputRefusedError at the end.
    """
    names, problems = _Names(), list[JSONObject]()
    number = 0
    async for line, data in _lines(chunks):
        if number % _AT_A_TIME == 0:
            await asyncio.sleep(0)
        try:
            if number >= MAX_ITEMS:
                raise InvalidRequestError(
                    f"a batch may have {MAX_ITEMS:,} requests", code="too_many_requests"
                )
            item = _item_of_line(data, number, (names, checks, endpoint))
        except InvalidRequestError as error:
            problems.append(_problem(error, line))
            if len(problems) >= _MOST_PROBLEMS or error.code == "too_many_requests":
                break
        else:
            if not problems:
                yield item
        number += 1
    if not number and not problems:
        problems.append(_problem(InvalidRequestError("the file is empty", code="empty_file"), None))
    if problems:
        raise InputRefusedError(problems)


def _item_of_line(data: bytes, number: int, reading: tuple[_Names, ItemChecks, str]) -> NewItem:
    names, checks, endpoint = reading
    try:
        line = wire.loads_object(data, "the line")
    except InvalidRequestError as error:
        error.code, error.param = "invalid_json_line", None
        raise
    custom_id = names.take(line.get("custom_id"), "custom_id")
    if line.get("method") != "POST":
        raise InvalidRequestError("method must be POST", param="method", code="invalid_method")
    if line.get("url") != endpoint:
        raise InvalidRequestError(
            f"url must be {endpoint}, the endpoint of the batch",
            param="url",
            code="mismatched_endpoint",
        )
    checked = checks.check(endpoint, line.get("body"), "body")
    return NewItem(number, custom_id, checked.body, checked.prefix)


def _problem(error: InvalidRequestError, line: int | None) -> JSONObject:
    return {"code": error.code, "message": error.message, "param": error.param, "line": line}


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1."""
    rest, number = b"", 0
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            if line.strip():
                yield number, line
        if len(rest) > MAX_LINE_BYTES:
            problem = InvalidRequestError("the line is too long", code="line_too_long")
            raise InputRefusedError([_problem(problem, number + 1)])
    if rest.strip():
        yield number + 1, rest
