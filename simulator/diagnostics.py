"""Why a prompt cache prefix could not be reused: `diagnostics.cache_miss_reason`.

A request names the message id of the previous answer; its prompt's fingerprint is compared with
this one. Reasons: model_changed, system_changed, tools_changed, messages_changed (each with
`cache_missed_input_tokens`) and previous_message_not_found. Fingerprints belong to one account
and are forgotten when newer ones need the room.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from simulator.prompt import Prompt
from simulator.validation.request import CheckedRequest
from simulator.wire import Json, digest

_REMEMBERED = 10_000  # answers whose fingerprints are kept


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an answer was made from: digests of every segment, by level."""

    account: str
    model: str
    tools: tuple[bytes, ...]
    system: tuple[bytes, ...]
    messages: tuple[bytes, ...]


@dataclass(slots=True)
class Diagnoses:
    """Fingerprints of answers given, by message id."""

    _known: OrderedDict[str, Fingerprint] = field(default_factory=OrderedDict)

    def diagnose(self, request: CheckedRequest, prompt: Prompt, account: str) -> Json | None:
        """The answer's `diagnostics`; None when there is nothing to report."""
        previous_id = (request.body.get("diagnostics") or {}).get("previous_message_id")
        if previous_id is None:
            return None
        previous = self._known.get(previous_id)
        if previous is None or previous.account != account:
            return {"cache_miss_reason": {"type": "previous_message_not_found"}}
        reason = _reason(previous, fingerprint(request, prompt, account), prompt)
        return {"cache_miss_reason": reason} if reason else None

    def remember(self, message_id: str, made_from: Fingerprint) -> None:
        """Keeps the fingerprint of an answer."""
        self._known[message_id] = made_from
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def clear(self) -> None:
        """Forgets all fingerprints."""
        self._known.clear()


def fingerprint(request: CheckedRequest, prompt: Prompt, account: str) -> Fingerprint:
    """The fingerprint of a request."""
    levels: dict[str, list[bytes]] = {"tools": [], "system": [], "messages": []}
    for segment in prompt.segments:
        levels[segment.level].append(digest(segment.role.encode(), segment.content))
    return Fingerprint(
        account,
        request.model.id,
        tuple(levels["tools"]),
        tuple(levels["system"]),
        tuple(levels["messages"]),
    )


def _reason(before: Fingerprint, now: Fingerprint, prompt: Prompt) -> Json | None:
    fixed = len(now.tools) + len(now.system)
    common = _common(before.messages, now.messages)
    changes = (
        ("model_changed", before.model != now.model, 0),
        ("tools_changed", before.tools != now.tools, 0),
        ("system_changed", before.system != now.system, len(now.tools)),
        ("messages_changed", common < len(before.messages), fixed + common),
    )
    for kind, changed, kept in changes:
        if changed:
            missed = sum(segment.tokens for segment in prompt.segments[kept:])
            return {"type": kind, "cache_missed_input_tokens": missed}
    return None


def _common(before: tuple[bytes, ...], now: tuple[bytes, ...]) -> int:
    pairs = zip(before, now, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(before), len(now)))
