"""Which requests may be answered from the cache, and under which key.

The key is made of everything that is sent upstream, byte for byte but for what is no content:
cache marks and `stream`. What a client may still differ in (its protocol, streaming, whether it
wants usage) is made of the answer afterwards, so it is not in the key.

Only texts: tools act on the world, and a picture behind a URL may be another one tomorrow.
"""

import hashlib
from collections.abc import Mapping

from gateway import wire
from gateway.context import Project
from gateway.protocols.shared.digests import unmarked
from gateway.protocols.shared.draft import Draft
from gateway.structs import Struct, field
from gateway.wire import JSON, JSONObject

MAX_QUESTION_CHARS = 2_000
"""A longer question is of a paste or a file: one line of it decides, and vectors do not see it."""

MAX_SYSTEM_CHARS = 8_000
"""Longer system texts are those of agents, also of such as call their tools in plain text."""

_FORMAT = 1  # of keys and kept answers
_FIELDS = frozenset(
    {
        "inference_geo",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "service_tier",
        "speed",
        "stop_sequences",
        "stream",
        "system",
        "thinking",
        "cache_control",
    }
)
_NO_CONTENT = frozenset({"stream", "cache_control"})
_BLOCKS = frozenset({"text", "thinking", "redacted_thinking"})


class Sampling(Struct, frozen=True):
    """What the client asked of the sampling; newer models are not told."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None


class Keepable(Struct, frozen=True):
    """What decides an answer, but for where it is asked: `body` is complete, in blocks.

    `held_out`: its conversation goes untouched, so it gets no answer to another question.
    """

    body: JSONObject
    sampling: Sampling = field(default_factory=Sampling)
    held_out: bool = False


class Asked(Struct, frozen=True):
    """A request as it goes upstream.

    `headers` are those sent with it, but for the credential; `cache_control` is the client's own
    header.
    """

    project: Project
    upstream: str
    headers: Mapping[str, str]
    request: Keepable
    cache_control: str = ""


class Likeness(Struct, frozen=True):
    """What a question is compared by: `group` is all of the request but the question's `text`."""

    group: str
    text: str
    threshold: float


class Question(Struct, frozen=True):
    """A request that may be answered from the cache.

    `key` is 64 hex digits; `fresh`: the client wants a new answer, which may be kept; `like` is
    None unless an answer to a question of the same meaning will do.
    """

    project: str
    key: str
    ttl_seconds: int
    fresh: bool = False
    like: Likeness | None = None


def sampling_of(draft: Draft) -> Sampling:
    """What the client of a draft asked of the sampling."""
    return Sampling(draft.temperature, draft.top_p, draft.top_k)


def read_question(asked: Asked) -> Question | None:
    """The question of a request; None when its answer must come from the upstream and is not kept.

    Costs nothing for requests that policy or tools exclude.
    """
    policy = asked.project.response_cache
    if policy.answers == "off":
        return None
    exact = policy.answers == "all" or asked.request.sampling.temperature == 0
    similar = policy.semantic_threshold > 0 and not asked.request.held_out
    if not (exact or similar) or not _is_text_only(asked.request.body):
        return None
    directives = _directives(asked.cache_control)
    if "no-store" in directives:
        return None
    like = _likeness(asked, policy.semantic_threshold) if similar else None
    if not exact and like is None:
        return None
    return Question(
        asked.project.id,
        answer_key(asked),
        policy.ttl_seconds,
        fresh=not directives.isdisjoint(("no-cache", "max-age=0")),
        like=like,
    )


def answer_key(asked: Asked) -> str:
    """The key of the answer: a digest of all that can change it."""
    return _digest(asked, canonical(asked.request.body))


def canonical(body: JSONObject) -> bytes:
    """The body as JSON in one form: keys sorted, nothing in it that is no content."""
    kept = {name: value for name, value in body.items() if name not in _NO_CONTENT}
    if isinstance(kept.get("system"), list):
        kept["system"] = [unmarked(block) for block in kept["system"]]
    kept["messages"] = [
        {**message, "content": [unmarked(block) for block in message["content"]]}
        for message in body["messages"]
    ]
    if "output_config" in kept:
        # The order of a schema's properties is the order in which they are answered.
        kept["output_config"] = wire.Fragment(wire.dumps(kept["output_config"]))
    return wire.dumps_sorted(kept)


def _digest(asked: Asked, body: bytes) -> str:
    sampling = asked.request.sampling
    numbers = [sampling.temperature, sampling.top_p, sampling.top_k]
    whole = [
        _FORMAT,
        asked.project.id,
        asked.upstream,
        sorted(asked.headers.items()),
        [None if number is None else float(number) for number in numbers],
        wire.Fragment(body),
    ]
    return hashlib.sha256(wire.dumps(whole)).hexdigest()


def _is_text_only(body: JSONObject) -> bool:
    """True for a chat of texts; a field or block that is not known makes it none."""
    if not _FIELDS.issuperset(body):
        return False
    return all(
        isinstance(message["content"], list)
        and all(block.get("type") in _BLOCKS for block in message["content"])
        for message in body["messages"]
    )


def _likeness(asked: Asked, threshold: float) -> Likeness | None:
    """For a conversation of one question, short enough to be told by its meaning."""
    messages = asked.request.body["messages"]
    if len(messages) != 1 or messages[0]["role"] != "user":
        return None
    text = "\n".join(block.get("text", "") for block in messages[0]["content"])
    if (
        len(text) > MAX_QUESTION_CHARS
        or _chars(asked.request.body.get("system")) > MAX_SYSTEM_CHARS
    ):
        return None
    group = _digest(asked, canonical({**asked.request.body, "messages": []}))
    return Likeness(group, text, threshold)


def _chars(system: JSON) -> int:
    if isinstance(system, str):
        return len(system)
    return sum(len(block.get("text", "")) for block in system or ())


def _directives(header: str) -> set[str]:
    return {part.strip().lower() for part in header.split(",")}
