"""The fields of a chat request beside messages and tools, each with its policy.

Fields with a counterpart are translated, those that would lose their meaning are a 400, the rest
is dropped and named. Unknown fields never fail a request. Source: `CompletionCreateParams` of the
openai package 3.54.
"""

from gateway.protocols.shared.draft import Draft, JSONMode
from gateway.protocols.shared.reading import (
    missing,
    optional_count,
    optional_number,
    optional_object,
    unsupported,
    wrong_type,
)
from gateway.protocols.shared.request_fields import (
    ignored_fields,
    read_effort,
    read_named_schema,
    read_thinking,
)
from gateway.wire import JSON, JSONObject

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

# Most clients set none or few of these: one look spares many.
_LOST = frozenset({"n", "logprobs", "modalities", "audio", "web_search_options"})
_SAMPLING = frozenset(
    {"max_completion_tokens", "max_tokens", "temperature", "top_p", "top_k", "stop"}
)
_REASONING = frozenset({"reasoning", "reasoning_effort", "thinking"})


def refuse_lost_meaning(body: JSONObject) -> None:
    """Raises UnsupportedValueError for what Claude cannot do and the client would miss."""
    if _LOST.isdisjoint(body):
        return
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


def chat_ignored_fields(body: JSONObject) -> list[str]:
    """Names of the fields that are set and have no counterpart."""
    return ignored_fields(body, _READ, _NEUTRAL)


def read_sampling(body: JSONObject, draft: Draft) -> None:
    """Limits and sampling: max_tokens, stop, temperature, top_p, top_k."""
    if _SAMPLING.isdisjoint(body):
        return
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


def read_reasoning(body: JSONObject, draft: Draft) -> None:
    """`reasoning_effort`, and the extras `reasoning` (OpenRouter) and `thinking` (Anthropic)."""
    if _REASONING.isdisjoint(body):
        return
    extra = body.get("reasoning")
    if not isinstance(extra, dict):
        if extra is not None:
            draft.ignored.append("reasoning")
        extra = {}
    draft.effort = read_effort(body.get("reasoning_effort"), "reasoning_effort") or read_effort(
        extra.get("effort"), "reasoning.effort"
    )
    draft.thinking = read_thinking(body.get("thinking"), draft.ignored)
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


def read_response_format(body: JSONObject, draft: Draft) -> JSONMode:
    """`response_format`; a json_schema without a schema counts as json_object."""
    if "response_format" not in body:
        return "none"
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
    return read_named_schema(named, path, draft)
