"""The fields of a chat request beside messages and tools, each with its policy.

Fields with a counterpart are translated, those that would lose their meaning are a 400, the rest
is dropped and named. Unknown fields never fail a request. Source: `CompletionCreateParams` of the
openai package 3.54.
"""

import hashlib

from gateway.protocols.shared.draft import Draft, JSONMode
from gateway.protocols.shared.reading import (
    invalid,
    missing,
    optional_bool,
    optional_count,
    optional_number,
    optional_object,
    optional_string,
    unsupported,
    wrong_type,
)
from gateway.wire import JSON, JSONObject

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_TIERS = {
    "auto": "auto",
    "priority": "auto",
    "default": "standard_only",
    "flex": "standard_only",
    "scale": "standard_only",
    "fast": None,
}
_THINKING_TYPES = ("adaptive", "enabled", "between_tools", "disabled")
_DISPLAYS = ("summarized", "omitted")  # "updates" needs a beta header
# Read somewhere in the translation; anything else that is set gets named as ignored.
_READ = frozenset(
    {
        "model", "messages", "system", "tools", "tool_choice", "functions", "function_call",
        "parallel_tool_calls", "max_tokens", "max_completion_tokens", "temperature", "top_p",
        "top_k", "stop", "stream", "stream_options", "n", "response_format", "reasoning_effort",
        "reasoning", "thinking", "include_reasoning", "user", "safety_identifier", "service_tier",
        "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    }
)  # fmt: skip
# Values of dropped fields that ask for what happens anyway.
_NEUTRAL: dict[str, tuple[JSON, ...]] = {
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "metadata": ({},),
    "modalities": (["text"],),
    "presence_penalty": (0,),
    "store": (False,),
}


def refuse_lost_meaning(body: JSONObject) -> None:
    """Raises UnsupportedValueError for what Claude cannot do and the client would miss."""
    if body.get("n") not in (None, 1):
        raise unsupported("n", "must be 1: Claude gives one answer to a request")
    if body.get("logprobs") is True:
        raise unsupported("logprobs", "cannot be given by Claude")
    modalities = body.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        raise unsupported("modalities", "must be text: Claude does not speak")
    for name in ("audio", "web_search_options"):
        if body.get(name) is not None:
            raise unsupported(name, "is not supported")


def ignored_fields(body: JSONObject) -> list[str]:
    """Names of the fields that are set and have no counterpart."""
    return [
        name
        for name, value in body.items()
        if name not in _READ and value is not None and value not in _NEUTRAL.get(name, ())
    ]


def read_sampling(body: JSONObject, draft: Draft) -> None:
    """Limits and sampling: max_tokens, stop, temperature, top_p, top_k."""
    limit = optional_count(body.get("max_completion_tokens"), "max_completion_tokens")
    older = optional_count(body.get("max_tokens"), "max_tokens")
    draft.max_tokens = older if limit is None else limit
    draft.temperature = optional_number(body.get("temperature"), "temperature")
    draft.top_p = optional_number(body.get("top_p"), "top_p")
    draft.top_k = optional_number(body.get("top_k"), "top_k")
    sequences = _stop_sequences(body.get("stop"))
    if sequences:
        draft.body["stop_sequences"] = sequences


def _stop_sequences(stop: JSON) -> list[str]:
    """A string or a list of strings; the API refuses those of whitespace only."""
    if stop is None:
        return []
    if isinstance(stop, str):
        stop = [stop]
    elif not isinstance(stop, list):
        raise wrong_type("stop", "a string or an array of strings", stop)
    for index, sequence in enumerate(stop):
        if not isinstance(sequence, str):
            raise wrong_type(f"stop[{index}]", "a string", sequence)
    return [sequence for sequence in stop if sequence.strip()]


def read_identity(body: JSONObject, draft: Draft) -> None:
    """Who asks: hashed, so that no address or name of a person leaves the gateway."""
    for name in ("safety_identifier", "user"):
        who = optional_string(body.get(name), name)
        if who:
            digest = hashlib.sha256(who.encode("utf-8", "surrogatepass")).hexdigest()
            draft.body["metadata"] = {"user_id": digest}
            break
    draft.user_key = optional_string(body.get("prompt_cache_key"), "prompt_cache_key") or None


def read_service_tier(body: JSONObject, draft: Draft) -> None:
    """`service_tier`; "fast" is a speed at Claude."""
    tier = optional_string(body.get("service_tier"), "service_tier")
    if tier is None:
        return
    if tier not in _TIERS:
        raise invalid("service_tier", f"must be one of {', '.join(_TIERS)}")
    if tier == "fast":
        draft.speed_fast = True
    else:
        draft.body["service_tier"] = _TIERS[tier]


def cache_ttl(body: JSONObject) -> str | None:
    """The lifetime for cache marks the client wishes: OpenAI's 30m, 12h and 24h are nearest 1h."""
    options = optional_object(body.get("prompt_cache_options"), "prompt_cache_options")
    wants_long = options.get("ttl") in ("30m", "12h", "24h", "1h")
    return "1h" if wants_long or body.get("prompt_cache_retention") == "24h" else None


def cache_is_explicit(body: JSONObject) -> bool:
    """True when the client wants no cache marks but its own."""
    options = optional_object(body.get("prompt_cache_options"), "prompt_cache_options")
    return options.get("mode") == "explicit"


def read_reasoning(body: JSONObject, draft: Draft) -> None:
    """`reasoning_effort`, and the extras `reasoning` (OpenRouter) and `thinking` (Anthropic)."""
    extra = body.get("reasoning")
    if not isinstance(extra, dict):
        if extra is not None:
            draft.ignored.append("reasoning")
        extra = {}
    draft.effort = _effort(body.get("reasoning_effort"), "reasoning_effort") or _effort(
        extra.get("effort"), "reasoning.effort"
    )
    draft.thinking = _thinking(body.get("thinking"), draft.ignored)
    if draft.thinking is None and extra.get("max_tokens") is not None:
        budget = optional_count(extra["max_tokens"], "reasoning.max_tokens")
        draft.thinking = {"type": "enabled", "budget_tokens": budget}
    if extra.get("enabled") is False and draft.effort is None:
        draft.effort = "none"
    elif extra.get("enabled") is True and draft.effort is None and draft.thinking is None:
        draft.thinking = {"type": "adaptive"}


def shows_reasoning(body: JSONObject) -> bool:
    """False when the client asked not to be shown the reasoning."""
    extra = body.get("reasoning")
    hidden = isinstance(extra, dict) and extra.get("exclude") is True
    return not hidden and body.get("include_reasoning") is not False


def _effort(value: JSON, param: str) -> str | None:
    effort = optional_string(value, param)
    if effort is not None and effort not in EFFORTS:
        raise invalid(param, "must be none, minimal, low, medium, high, xhigh or max")
    return effort


def _thinking(value: JSON, ignored: list[str]) -> JSONObject | None:
    """The client's `thinking`, with the fields that are understood; forms unknown are ignored."""
    if value is None:
        return None
    if not isinstance(value, dict) or value.get("type") not in _THINKING_TYPES:
        ignored.append("thinking")
        return None
    thinking: JSONObject = {"type": value["type"]}
    budget = optional_count(value.get("budget_tokens"), "thinking.budget_tokens")
    if budget is not None:
        thinking["budget_tokens"] = budget
    if value.get("display") in _DISPLAYS:
        thinking["display"] = value["display"]
    return thinking


def read_response_format(body: JSONObject, draft: Draft) -> JSONMode:
    """`response_format`; a json_schema without a schema counts as json_object."""
    asked = optional_object(body.get("response_format"), "response_format")
    kind = asked.get("type")
    if not asked or kind == "text":
        return "none"
    if kind == "json_object":
        return "object"
    if kind != "json_schema":
        raise unsupported("response_format.type", "must be text, json_object or json_schema")
    path = "response_format.json_schema"
    named = asked.get("json_schema")
    if not isinstance(named, dict):
        raise missing(path) if named is None else wrong_type(path, "an object", named)
    schema = optional_object(named.get("schema"), f"{path}.schema")
    draft.schema_strict = optional_bool(named.get("strict"), f"{path}.strict") is True
    if not schema:
        return "object"
    description = named.get("description")
    if isinstance(description, str) and description:
        own = schema.get("description")
        joined = f"{description}\n\n{own}" if isinstance(own, str) and own else description
        schema = {**schema, "description": joined}
    draft.output_schema = schema
    return "schema"
