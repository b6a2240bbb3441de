"""The whole check of a Messages request, and what is known about it afterwards."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simulator.errors import ApiError, invalid
from simulator.models import Catalogue, Model
from simulator.shape import (
    Check,
    Fields,
    anything,
    array,
    boolean,
    integer,
    mapping,
    nullable,
    number,
    one_of,
    string,
)
from simulator.validation import (
    cache_markers,
    content,
    context_edits,
    conversation,
    media,
    output,
    sampling,
    thinking,
    tools,
)
from simulator.validation.schemas import SchemaChecks
from simulator.wire import Json, JsonValue

OLD_VERSION = "2023-06-01"
NEW_VERSION = "2026-10-21"
VERSIONS = (OLD_VERSION, NEW_VERSION)
_BETA = re.compile(r"^[a-z0-9][a-z0-9-]*-\d{4}-?\d{2}-?\d{2}$")
_STOP_SEQUENCES = 8191

# Fields that exist only with a beta header whose name begins so.
_BETA_FIELDS: dict[str, str] = {
    "compaction": "compact-",
    "mcp_servers": "mcp-client-",
    "thread": "message-threads-",
    "fallbacks": "server-side-fallback-",
    "fallback_credit_token": "fallback-credit-",
    "billing_policy": "user-profiles-",
    "output_format": "structured-outputs-",
}
_SHARED: dict[str, Check] = {
    "cache_control": content.cache_control,
    "output_config": nullable(output.check_shape),
    "speed": nullable(one_of("standard", "fast")),
    "system": content.system,
    "thinking": nullable(thinking.check_shape),
    "tool_choice": nullable(tools.check_choice_shape),
    "tools": nullable(tools.check_tool_shapes),
}
_GENERATING: dict[str, Check] = {
    "container": nullable(anything),
    "diagnostics": nullable(Fields({}, {"previous_message_id": nullable(string())})),
    "inference_geo": nullable(string()),
    "metadata": nullable(content.metadata),
    "service_tier": nullable(one_of("auto", "standard_only")),
    "stop_sequences": nullable(array(string(), maximum=_STOP_SEQUENCES)),
    "stream": nullable(boolean),
    "user_profile_id": nullable(string()),
}
_SAMPLING: dict[str, Check] = {
    "temperature": nullable(number),
    "top_p": nullable(number),
    "top_k": nullable(integer(0)),
}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """A request the API would accept.

    `thinking_type` is what applies after the model's default: adaptive, enabled, between_tools or
    disabled. `max_tokens` is 0 for count_tokens.
    """

    body: Json
    model: Model
    betas: tuple[str, ...]
    thinking_type: str
    max_tokens: int

    @property
    def messages(self) -> Sequence[Json]:
        """The messages as sent."""
        messages: Sequence[Json] = self.body["messages"]
        return messages

    @property
    def tools(self) -> Sequence[Json]:
        """The tools as sent, or none."""
        return self.body.get("tools") or ()

    @property
    def system(self) -> list[Json]:
        """The system prompt as text blocks."""
        system = self.body.get("system")
        if isinstance(system, str):
            return [{"type": "text", "text": system}] if system else []
        return list(system or ())

    @property
    def output_config(self) -> Json:
        """`output_config`, empty when absent."""
        return self.body.get("output_config") or {}

    @property
    def effort(self) -> str:
        """The effort that applies."""
        return str(self.output_config.get("effort") or self.model.default_effort)

    @property
    def display(self) -> str:
        """How thinking text is shown: omitted, summarized or updates."""
        config = self.body.get("thinking") or {}
        return str(config.get("display") or self.model.display)


def header_version(headers: Mapping[str, str]) -> str:
    """The anthropic-version; 400 when missing or unknown."""
    version = headers.get("anthropic-version")
    if version is None:
        raise invalid("anthropic-version", "header is required")
    if version not in VERSIONS:
        raise invalid("anthropic-version", f'"{version}" is not a valid version')
    return version


def header_betas(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The values of anthropic-beta; 400 for one that cannot be a beta's name."""
    betas = tuple(part.strip() for part in headers.get("anthropic-beta", "").split(",") if part)
    for beta in betas:
        if not _BETA.match(beta):
            raise ApiError(
                400,
                f"Unexpected value(s) `{beta}` for the `anthropic-beta` header. Please consult our "
                "documentation at docs.anthropic.com or try again without the header.",
            )
    return betas


class RequestChecks:
    """Checks requests against the catalogue; keeps what makes repeated checks cheap."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Takes the models to check against."""
        self._catalogue = catalogue
        self._schemas = SchemaChecks()

    def check(
        self, body: JsonValue, headers: Mapping[str, str], counting: bool = False
    ) -> CheckedRequest:
        """The checked request, or an `ApiError`; `counting` is for count_tokens."""
        version = header_version(headers)
        betas = header_betas(headers)
        if not isinstance(body, dict):
            raise invalid("", "Input should be a valid dictionary")
        _check_shape(body, version, betas, counting)
        _check_thread(body)
        model = self._catalogue.resolve(body["model"])
        max_tokens = 0 if counting else int(body["max_tokens"])
        config = body.get("thinking")
        request = CheckedRequest(
            body=body,
            model=model,
            betas=betas,
            thinking_type=config["type"] if config else model.default_thinking,
            max_tokens=max_tokens,
        )
        self._check_meaning(request, version, counting)
        return request

    def _check_meaning(self, request: CheckedRequest, version: str, counting: bool) -> None:
        body, model = request.body, request.model
        conversation.check_system(body.get("system") or "")
        conversation.check_conversation(request.messages, model)
        if version == NEW_VERSION:
            conversation.check_version_rules(request.messages)
        config = body.get("thinking")
        if config:
            thinking.check_betas(config, request.betas)
        thinking.check_thinking(config, model, None if counting else request.max_tokens)
        thinking.check_history(request.messages, config)
        tools.check_tools(request.tools, self._schemas)
        choice = body.get("tool_choice")
        if choice:
            tools.check_choice(choice, request.tools, model, request.thinking_type)
        if request.output_config:
            output.check_output(request.output_config, model, request.thinking_type, self._schemas)
        if body.get("context_management"):
            edits = body["context_management"]
            context_edits.check_edits(edits, model, request.thinking_type)
        cache_markers.check_markers(
            request.tools, request.system, request.messages, body.get("cache_control")
        )
        media.check_media(request.messages, model)
        if not counting:
            _check_generation(request)


def _check_shape(body: Json, version: str, betas: Sequence[str], counting: bool) -> None:
    required: dict[str, Check] = {
        "model": string(1, 256),
        "messages": array(content.message),
    }
    optional = dict(_SHARED)
    if not counting:
        required["max_tokens"] = content.max_tokens
        optional.update(_GENERATING)
    if not counting and version == OLD_VERSION:
        optional.update(_SAMPLING)
    for name, prefix in _BETA_FIELDS.items():
        if any(beta.startswith(prefix) for beta in betas):
            optional[name] = anything
    if context_edits.EDITING_BETA in betas or context_edits.COMPACTION_BETA in betas:
        optional["context_management"] = context_edits.check_shape(betas)
    if "output_config" in body and isinstance(body["output_config"], dict):
        _check_task_budget(body["output_config"], betas)
    mapping(body, "")
    Fields(required, optional)(body, "")


def _check_thread(body: Json) -> None:
    """No conversation is held here; the official packages then send the whole history."""
    if body.get("thread") is not None:
        raise ApiError(
            400,
            "thread: message threads are not available for this request",
            details={"error_code": "thread_unsupported_request", "unsupported": ["thread"]},
        )


def _check_task_budget(config: Json, betas: Sequence[str]) -> None:
    if "task_budget" in config and output.TASK_BUDGET_BETA not in betas:
        raise invalid("output_config.task_budget", "Extra inputs are not permitted")


def _check_generation(request: CheckedRequest) -> None:
    body, model = request.body, request.model
    if request.max_tokens > model.output:
        raise invalid(
            "max_tokens",
            f"{request.max_tokens} > {model.output}, which is the maximum allowed number of "
            f"output tokens for {model.id}",
        )
    if request.max_tokens == 0:
        _check_prewarm(request)
    sampling.check_sampling(body, model, request.thinking_type in ("adaptive", "enabled"))
    for sequence in body.get("stop_sequences") or ():
        if not sequence.strip():
            raise invalid("stop_sequences", "each stop sequence must contain non-whitespace")
    user_id = (body.get("metadata") or {}).get("user_id")
    if user_id and _EMAIL.fullmatch(user_id):
        raise invalid("metadata.user_id", "user_id appears to contain an email address")
    if body.get("speed") == "fast" and not model.fast_mode:
        raise invalid("speed", "fast mode is not supported on this model")
    if request.output_config.get("format") and request.messages[-1]["role"] == "assistant":
        raise invalid(
            "output_config.format", "assistant message prefill is not supported with a format"
        )


def _check_prewarm(request: CheckedRequest) -> None:
    """`max_tokens: 0` writes the cache and generates nothing; some fields make no sense then."""
    body = request.body
    choice = body.get("tool_choice") or {}
    refused = {
        "stream": bool(body.get("stream")),
        "thinking.type.enabled": request.thinking_type == "enabled",
        "output_config.format": bool(request.output_config.get("format")),
        "tool_choice": choice.get("type") in ("any", "tool"),
    }
    for name, present in refused.items():
        if present:
            raise invalid("max_tokens", f"`max_tokens: 0` is not supported with `{name}`")
