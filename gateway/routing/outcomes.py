"""How answers turned out, by project, class of task and model: only what can be counted.

The roll-up in the database counts; every API process keeps a snapshot of its sums, read in the
background. A request only looks into memory.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable

from gateway import wire
from gateway.protocols.shared.digests import digest
from gateway.structs import Struct
from gateway.wire import JSON, JSONObject

REFRESH_SECONDS = 30.0

_END_CHARS = 240  # tools say at either end of their output whether they failed
_MARKED_BLOCKS = 8
_FAILED = re.compile(
    r"\A\W{0,4}(?:<?(?:error|tool_use_error)\b|fatal:|traceback |exception\b|command failed"
    r"|permission denied|no such file|the tool execution failed)"
    r"|\bexit(?:ed with)?[ _]?(?:code|status)[:= ]{1,3}[1-9]"
    r"|\bcommand not found\b",
    re.IGNORECASE,
)
_log = logging.getLogger("gateway.routing")


class Counts(Struct, frozen=True):
    """Successes and failures, each worth less the older it is."""

    successes: float = 0.0
    failures: float = 0.0

    @property
    def total(self) -> float:
        """How much is known."""
        return self.successes + self.failures


NOTHING_KNOWN = Counts()


class OutcomeSnapshot:
    """The sums as they were published last; empty until there are any.

    One object for all parts of a process: `replace` swaps what it holds.
    """

    __slots__ = ("_counts",)

    def __init__(self, rows: Iterable[tuple[str, str, str, Counts]] = ()) -> None:
        self._counts: dict[tuple[str, str, str], Counts] = {}
        self.replace(rows)

    def replace(self, rows: Iterable[tuple[str, str, str, Counts]]) -> None:
        """Hold these sums instead: project, class of task, model, counts."""
        self._counts = {(project, name, model): counts for project, name, model, counts in rows}

    def of(self, project: str, task_class: str, model: str) -> Counts:
        """What is known of a model at a class of task in a project."""
        return self._counts.get((project, task_class, model), NOTHING_KNOWN)


def read_snapshot(published: bytes) -> list[tuple[str, str, str, Counts]]:
    """The rows of a published snapshot, see `gateway.storage.routing_outcomes`.

    Raises ValueError when it is none.
    """
    try:
        return [
            (str(project), str(task_class), str(model), Counts(float(successes), float(failures)))
            for project, task_class, model, successes, failures in wire.loads(published)["rows"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("not a snapshot of outcomes") from error


async def keep_fresh(
    snapshot: OutcomeSnapshot, read: Callable[[], Awaitable[bytes | None]]
) -> None:
    """Renew `snapshot` for ever; `read` gives what is published, None when nothing is known.

    What cannot be read leaves the snapshot as it is.
    """
    while True:
        published = await read()
        if published is not None:
            try:
                snapshot.replace(read_snapshot(published))
            except ValueError:
                _log.warning("routing_outcomes_unreadable")
        await asyncio.sleep(REFRESH_SECONDS)


def failed_results(messages: list[JSONObject]) -> int:
    """How many tool results of the newest message failed: the verdict on the answer before it."""
    content = messages[-1]["content"] if messages else ""
    if not isinstance(content, list):
        return 0
    return sum(1 for block in content if block["type"] == "tool_result" and _has_failed(block))


def request_mark(messages: list[JSONObject]) -> str:
    """A short mark of the newest message, by which the same request sent again is known.

    Long texts count by their ends and their length.
    """
    content = messages[-1]["content"] if messages else ""
    texts = (content,) if isinstance(content, str) else map(_block_text, content[-_MARKED_BLOCKS:])
    ends = [f"{len(text)} {text[:_END_CHARS]} {text[-_END_CHARS:]}" for text in texts]
    return digest("\x00".join(ends).encode("utf-8", "surrogatepass"))[:8].hex()


def _has_failed(block: JSONObject) -> bool:
    if block.get("is_error"):
        return True
    text = _result_text(block.get("content"))
    return bool(_FAILED.search(text[:_END_CHARS]) or _FAILED.search(text[-_END_CHARS:]))


def _block_text(block: JSONObject) -> str:
    text = block.get("text")
    if isinstance(text, str):
        return text
    return f"{block.get('tool_use_id', '')}{_result_text(block.get('content'))}"


def _result_text(content: JSON) -> str:
    """The only text of a tool result, or its first and last."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [block["text"] for block in content if block.get("type") == "text"]
    return "\n".join(texts if len(texts) < 2 else (texts[0], texts[-1]))
