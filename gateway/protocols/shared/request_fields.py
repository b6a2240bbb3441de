"""Request fields that the OpenAI protocols have in common, each with its policy.

Source: `CompletionCreateParams` and `ResponseCreateParams` of the openai package 3.54.
"""

import hashlib
from collections.abc import Mapping, Set

from gateway.protocols.shared.draft import Draft, JSONMode
from gateway.protocols.shared.reading import (
    invalid,
    missing,
    optional_bool,
    optional_count,
    optional_object,
    optional_string,
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
_PERSONS = ("safety_identifier", "user")
_CACHE_KEY = "prompt_cache_key"
_IDENTITY = frozenset({*_PERSONS, _CACHE_KEY})
_THINKING_TYPES = ("adaptive", "enabled", "between_tools", "disabled")
_DISPLAYS = ("summarized", "omitted")  # "updates" needs a beta header


def read_model(body: JSONObject) -> str:
    """The model asked for; without one there is no answer."""
    model = body.get("model")
    if model is not None and not isinstance(model, str):
        raise wrong_type("model", "a string", model)
    if not model or not model.strip():
        raise missing("model")
    return model


def ignored_fields(
    body: JSONObject, read: Set[str], neutral: Mapping[str, tuple[JSON, ...]]
) -> list[str]:
    """Names of the fields that are set but not `read`.

    `neutral` holds values that ask for what happens anyway.
    """
    if body.keys() <= read:
        return []
    return [
        name
        for name, value in body.items()
        if name not in read and value is not None and value not in neutral.get(name, ())
    ]


def read_identity(body: JSONObject, draft: Draft) -> None:
    """Who asks: hashed, so that no address or name of a person leaves the gateway."""
    if _IDENTITY.isdisjoint(body):
        return
    for name in _PERSONS:
        who = optional_string(body.get(name), name)
        if who:
            digest = hashlib.sha256(who.encode("utf-8", "surrogatepass")).hexdigest()
            draft.body["metadata"] = {"user_id": digest}
            break
    draft.user_key = optional_string(body.get(_CACHE_KEY), _CACHE_KEY) or None


def read_service_tier(body: JSONObject, draft: Draft) -> None:
    """`service_tier`; "fast" is a speed at Claude."""
    if body.get("service_tier") is None:
        return
    tier = optional_string(body["service_tier"], "service_tier")
    if tier not in _TIERS:
        raise invalid("service_tier", f"must be one of {', '.join(_TIERS)}")
    if tier == "fast":
        draft.speed_fast = True
    else:
        draft.body["service_tier"] = _TIERS[tier]


CACHE_TTL_FIELDS = ("prompt_cache_options", "prompt_cache_retention")
"""What `cache_ttl` reads."""
_CACHE_TTL = frozenset(CACHE_TTL_FIELDS)


def cache_ttl(body: JSONObject) -> str | None:
    """The lifetime for cache marks the client wishes: OpenAI's 30m, 12h and 24h are nearest 1h."""
    if _CACHE_TTL.isdisjoint(body):
        return None
    options = optional_object(body.get("prompt_cache_options"), "prompt_cache_options")
    wants_long = options.get("ttl") in ("30m", "12h", "24h", "1h")
    return "1h" if wants_long or body.get("prompt_cache_retention") == "24h" else None


def cache_is_explicit(body: JSONObject) -> bool:
    """True when the client wants no cache marks but its own."""
    if "prompt_cache_options" not in body:
        return False
    options = optional_object(body["prompt_cache_options"], "prompt_cache_options")
    return options.get("mode") == "explicit"


def read_effort(value: JSON, param: str) -> str | None:
    """The reasoning effort, None for the model's own."""
    effort = optional_string(value, param)
    if effort is not None and effort not in EFFORTS:
        raise invalid(param, "must be none, minimal, low, medium, high, xhigh or max")
    return effort


def read_thinking(value: JSON, ignored: list[str]) -> JSONObject | None:
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


def read_named_schema(named: JSONObject, param: str, draft: Draft) -> JSONMode:
    """A JSON schema with `schema`, `strict`, `description`; without a schema it is json_object."""
    schema = optional_object(named.get("schema"), f"{param}.schema")
    draft.schema_strict = optional_bool(named.get("strict"), f"{param}.strict") is True
    draft.schema_param = f"{param}.schema"
    if not schema:
        return "object"
    description = named.get("description")
    if isinstance(description, str) and description:
        own = schema.get("description")
        joined = f"{description}\n\n{own}" if isinstance(own, str) and own else description
        schema = {**schema, "description": joined}
    draft.output_schema = schema
    return "schema"
