"""What a translator hands on: a request in the Messages form that no model has been chosen for."""

from typing import Literal

from gateway.structs import Struct, field
from gateway.wire import JSONObject

JSONMode = Literal["none", "object", "schema"]


class ReplyPlan(Struct, frozen=True):
    """What the translator of the answer must know of the request.

    `original_tool_names` holds only the names that had to be changed, sent name -> client's name;
    `custom_tools` and `wrapped_tools` are sent names. A custom tool's call has its text in
    `input.input`; a wrapped tool's arguments are the value of `input.value`. `json_mode` "schema"
    may have been served by an instruction, so an answer in a code fence is possible there too.
    `completion_id` names an answer that was promised before it began.
    """

    asked_model: str
    stream: bool = False
    include_usage: bool = False
    legacy_functions: bool = False
    original_tool_names: dict[str, str] = field(default_factory=dict)
    custom_tools: frozenset[str] = frozenset()
    wrapped_tools: frozenset[str] = frozenset()
    json_mode: JSONMode = "none"
    show_reasoning: bool = True
    echo_service_tier: bool = False
    completion_id: str | None = None


class Draft(Struct):
    """A request in the Messages form, complete but for what depends on the model.

    `body` has no `model`, `max_tokens`, `thinking`, `output_config`, `stream`. Its history is
    repaired; system messages in the middle stand as `{"role": "system"}` at places the API allows.
    `effort` is as asked (none, minimal, low, medium, high, xhigh, max); `thinking` the client's own
    setting in Messages form; `output_schema` its JSON schema as sent, and `schema_param` its path.
    `instructions` are texts for the newest user message. `cache_ttl` ("5m", "1h") and
    `cache_explicit` are its wishes for cache marks. `ignored` names the fields that were dropped
    for want of a counterpart.
    """

    asked_model: str
    body: JSONObject
    reply: ReplyPlan
    max_tokens: int | None = None
    effort: str | None = None
    thinking: JSONObject | None = None
    output_schema: JSONObject | None = None
    schema_strict: bool = False
    schema_param: str = ""
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    speed_fast: bool = False
    user_key: str | None = None
    cache_ttl: str | None = None
    cache_explicit: bool = False
    instructions: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
