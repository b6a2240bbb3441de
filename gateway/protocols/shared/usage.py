"""What one answer cost: the counters of a Messages stream, and their OpenAI form.

Anthropic's `input_tokens` counts only what was neither read from nor written to the prompt cache;
OpenAI's `prompt_tokens` counts everything (SDK types `Usage`, `MessageDeltaUsage`,
`CompletionUsage`).
"""

import math

from gateway.structs import Struct, field
from gateway.wire import JSON, JSONObject

_COMMON = frozenset(
    {
        *("input_tokens", "output_tokens", "cache_read_input_tokens"),
        *("cache_creation", "cache_creation_input_tokens"),
    }
)

CHARS_PER_TOKEN = 3.5  # English text and code; only used for answers that were cut


class UsageMeter(Struct):
    """The counters of one answer, filled while its events pass by.

    `started` and `completed` tell whether message_start and message_stop were seen. `output_chars`
    counts characters of text, thinking and tool arguments, to estimate the output of a cut answer.
    A count the API left out or sent as null is 0, or stays what an earlier event said.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    thinking_tokens: int = 0
    web_search_requests: int = 0
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    upstream_model: str | None = None
    message_id: str | None = None
    stop_reason: str | None = None
    started: bool = False
    completed: bool = False
    output_chars: int = 0
    _iterations: list[JSON] = field(default_factory=list)

    @property
    def cache_write_tokens(self) -> int:
        """Input written to the prompt cache, of both lifetimes."""
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens

    @property
    def prompt_tokens(self) -> int:
        """All input: uncached, read from the cache and written to it."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def estimated_output_tokens(self) -> int:
        """The output count; for an answer cut before its final count, at least what was seen.

        Thinking that the API did not show is not in the estimate.
        """
        if self.completed or self.stop_reason is not None:
            return self.output_tokens
        return max(self.output_tokens, math.ceil(self.output_chars / CHARS_PER_TOKEN))

    def on_message_start(self, message: JSONObject) -> None:
        """Take the `message` of a message_start event (or a whole Message)."""
        self.started = True
        self.upstream_model = _text(message.get("model"))
        self.message_id = _text(message.get("id"))
        self.stop_reason = _text(message.get("stop_reason"))
        self._take(message.get("usage"))

    def on_message_delta(self, event: JSONObject) -> None:
        """Take a message_delta event; its counts are cumulative and win over earlier ones."""
        delta = event.get("delta")
        if isinstance(delta, dict):
            self.stop_reason = _text(delta.get("stop_reason")) or self.stop_reason
        self._take(event.get("usage"))

    def on_stop(self) -> None:
        """Note message_stop; adds compaction, which the top-level counts leave out."""
        if self.completed:
            return
        self.completed = True
        for iteration in self._iterations:
            if isinstance(iteration, dict) and iteration.get("type") == "compaction":
                self._add(iteration)

    def _take(self, usage: JSON) -> None:
        """Take a `usage`. Cache writes that it does not break down are of 5 minutes."""
        if not isinstance(usage, dict):
            return
        self.input_tokens = _count(usage.get("input_tokens"), self.input_tokens)
        self.output_tokens = _count(usage.get("output_tokens"), self.output_tokens)
        self.cache_read_tokens = _count(
            usage.get("cache_read_input_tokens"), self.cache_read_tokens
        )
        if "cache_creation" in usage:
            by_lifetime = _inside(usage, "cache_creation")
            self.cache_write_5m_tokens = _count(
                by_lifetime.get("ephemeral_5m_input_tokens"), self.cache_write_5m_tokens
            )
            self.cache_write_1h_tokens = _count(
                by_lifetime.get("ephemeral_1h_input_tokens"), self.cache_write_1h_tokens
            )
        written = _count(usage.get("cache_creation_input_tokens"), -1)
        if written >= 0:
            self.cache_write_1h_tokens = min(self.cache_write_1h_tokens, written)
            self.cache_write_5m_tokens = written - self.cache_write_1h_tokens
        if not usage.keys() <= _COMMON:
            self._take_more(usage)

    def _take_more(self, usage: JSONObject) -> None:
        if "output_tokens_details" in usage:
            thinking = _inside(usage, "output_tokens_details").get("thinking_tokens")
            self.thinking_tokens = _count(thinking, self.thinking_tokens)
        if "server_tool_use" in usage:
            searches = _inside(usage, "server_tool_use").get("web_search_requests")
            self.web_search_requests = _count(searches, self.web_search_requests)
        if "service_tier" in usage:
            self.service_tier = _text(usage["service_tier"]) or self.service_tier
        if "speed" in usage:
            self.speed = _text(usage["speed"]) or self.speed
        if "inference_geo" in usage:
            self.inference_geo = _text(usage["inference_geo"]) or self.inference_geo
        if "iterations" in usage and isinstance(usage["iterations"], list):
            self._iterations = usage["iterations"]

    def _add(self, iteration: JSONObject) -> None:
        other = UsageMeter()
        other._take(iteration)
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cache_read_tokens += other.cache_read_tokens
        self.cache_write_5m_tokens += other.cache_write_5m_tokens
        self.cache_write_1h_tokens += other.cache_write_1h_tokens


def openai_usage(meter: UsageMeter) -> JSONObject:
    """The `usage` object of a chat completion (SDK type `CompletionUsage`)."""
    prompt, completion = meter.prompt_tokens, meter.output_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": meter.cache_read_tokens,
            "cache_write_tokens": meter.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": meter.thinking_tokens},
    }


def _count(value: JSON, otherwise: int) -> int:
    if type(value) is int and value >= 0:  # bool is none
        return value
    return otherwise


def _text(value: JSON) -> str | None:
    return value if isinstance(value, str) and value else None


def _inside(usage: JSONObject, key: str) -> JSONObject:
    value = usage.get(key)
    return value if isinstance(value, dict) else {}
