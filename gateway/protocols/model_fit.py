"""The body for one model out of a draft: what it takes, within its limits, in its own terms.

What a model does not take is replaced by the nearest thing it does, and named in a note that
becomes a response header. Pure: a draft can be fitted to a second model when the first one fails.
"""

from gateway.catalog.models import Model
from gateway.errors import UnsupportedValueError
from gateway.protocols.history_repair import CONTINUE
from gateway.protocols.messages_form import (
    MINIMUM_BUDGET_TOKENS,
    THINKING_BLOCKS,
    schema_instruction,
    text_block,
    with_instruction,
    with_max_tokens,
    with_schema_instruction,
    without_system_messages,
    without_thinking,
)
from gateway.protocols.shared.draft import Draft, ReplyPlan
from gateway.protocols.shared.output_schemas import SchemaMisfitError, fit_output_schema
from gateway.protocols.shared.reading import header_text
from gateway.protocols.thinking_fit import Thinking, choose_thinking
from gateway.structs import Struct, field, replace
from gateway.wire import JSONObject

__all__ = [
    "FitOptions",
    "Fitted",
    "fit_to_model",
    "with_max_tokens",
    "with_schema_instruction",
    "without_system_messages",
    "without_thinking",
]

SMALL_MAX_TOKENS = 4096  # below, thinking could leave nothing for the answer


class FitOptions(Struct, frozen=True):
    """Settings that shape a body.

    `thinking_reserve_tokens` is added to a small `max_tokens` where the model thinks by itself;
    `show_reasoning` asks for thinking summaries; `fast_mode` allows the dearer `speed: "fast"`.
    """

    thinking_reserve_tokens: int
    show_reasoning: bool
    fast_mode: bool = False


class Fitted(Struct, frozen=True):
    """A complete upstream body, and what to tell the client about it.

    `max_tokens_injected` is True when the client gave no limit; `notes` are response headers;
    `ignored` names all dropped fields, the draft's too; `reply` is the plan for the answer.
    `loose_schema` is the client's schema where words may replace its enforcement.
    """

    body: JSONObject
    reply: ReplyPlan
    max_tokens_injected: bool
    notes: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    loose_schema: JSONObject | None = None


def fit_to_model(draft: Draft, model: Model, options: FitOptions) -> Fitted:
    """The body of `draft` for `model`. Raises UnsupportedValueError for a strict schema that
    structured outputs cannot express.
    """
    return _Fitting(draft, model, options).fitted()


class _Fitting:
    """One fitting: collects notes, instructions and ignored names beside the body."""

    def __init__(self, draft: Draft, model: Model, options: FitOptions) -> None:
        self._draft = draft
        self._model = model
        self._options = options
        self._show = options.show_reasoning and draft.reply.show_reasoning
        self._notes: dict[str, str] = {}
        self._ignored = list(draft.ignored)
        self._instructions = list(draft.instructions)
        self._body: JSONObject = {"model": model.id, "max_tokens": 0, "stream": True, **draft.body}

    def fitted(self) -> Fitted:
        """Runs the steps; the order matters where one looks at another's outcome."""
        self._fit_tool_choice()
        thinking = self._fit_thinking()
        self._fit_max_tokens(thinking)
        self._fit_output(thinking)
        self._fit_speed()
        self._drop_sampling()
        if not self._model.system_messages:
            self._body = without_system_messages(self._body)
        self._fit_ending(thinking)
        if self._instructions:
            self._body = with_instruction(self._body, "\n\n".join(self._instructions))
        reply = self._draft.reply
        if reply.show_reasoning is not self._show:
            reply = replace(reply, show_reasoning=self._show)
        return Fitted(
            body=self._body,
            reply=reply,
            max_tokens_injected=self._draft.max_tokens is None,
            notes=self._notes,
            ignored=self._ignored,
            loose_schema=None if self._draft.schema_strict else self._draft.output_schema,
        )

    def _fit_tool_choice(self) -> None:
        """A forced choice becomes an instruction where the model does not take one."""
        choice = self._body.get("tool_choice") or {}
        if choice.get("type") not in ("any", "tool") or self._model.forced_tool_choice:
            return
        relaxed = {key: value for key, value in choice.items() if key != "name"}
        self._body["tool_choice"] = {**relaxed, "type": "auto"}
        wanted = f"the tool `{choice['name']}`" if "name" in choice else "one of the tools"
        self._instructions.append(f"You must call {wanted} now; do not answer in text.")
        self._notes["X-Tool-Choice"] = f"auto; forced choice not accepted by {self._model.id}"

    def _fit_thinking(self) -> Thinking:
        thinking = choose_thinking(self._draft, self._model, self._show)
        if thinking.config is not None and thinking.config["type"] == "enabled":
            obstacle = self._obstacle_to_manual_thinking()
            if obstacle:
                thinking = Thinking(None, thinking.effort, note=f"off; {obstacle}")
        if thinking.config is not None:
            self._body["thinking"] = thinking.config
        if thinking.note is not None:
            self._notes["X-Thinking"] = header_text(thinking.note)
        return thinking

    def _obstacle_to_manual_thinking(self) -> str | None:
        """Why the API would refuse `enabled` for this body, None when it would not."""
        if (self._body.get("tool_choice") or {}).get("type") in ("any", "tool"):
            return "not possible with a forced tool choice"
        messages = [message for message in self._body["messages"] if message["role"] != "system"]
        newest = messages[-1]
        if newest["role"] != "user" or newest["content"][0]["type"] != "tool_result":
            return None
        opening = messages[-2]["content"][0]["type"]
        if opening in THINKING_BLOCKS:
            return None
        return "the thinking of this tool loop is not in the history"

    def _fit_max_tokens(self, thinking: Thinking) -> None:
        limit = self._model.max_output_tokens
        asked = self._draft.max_tokens
        granted = limit if asked is None else min(asked, limit)
        if asked is not None and asked > limit:
            self._notes["X-Max-Tokens"] = f"{limit}; the most {self._model.id} gives"
        reserve = 0
        config = thinking.config or {}
        if config.get("type") == "enabled":
            reserve = self._fit_budget(config, granted)
        elif asked is not None and thinking.is_on and self._model.thinks_by_default:
            small = granted < SMALL_MAX_TOKENS
            reserve = self._options.thinking_reserve_tokens if small else 0
        self._body["max_tokens"] = min(granted + reserve, limit)
        if reserve:
            self._notes["X-Thinking-Reserve"] = str(self._body["max_tokens"] - granted)

    def _fit_budget(self, config: JSONObject, granted: int) -> int:
        """Keeps a manual budget below `granted`: lowers it to half, or returns a reserve on top."""
        if config["budget_tokens"] < granted:
            return 0
        half = granted // 2
        budget = max(half, MINIMUM_BUDGET_TOKENS)
        self._body["thinking"] = {**config, "budget_tokens": budget}
        return 0 if half >= MINIMUM_BUDGET_TOKENS else MINIMUM_BUDGET_TOKENS

    def _fit_output(self, thinking: Thinking) -> None:
        config: JSONObject = {}
        if thinking.effort is not None:
            config["effort"] = thinking.effort
        schema = self._draft.output_schema
        if schema is not None:
            try:
                if not self._model.structured_output:
                    raise SchemaMisfitError(f"{self._model.id} has no structured outputs")
                fitted = fit_output_schema(schema)
                config["format"] = {"type": "json_schema", "schema": fitted}
            except SchemaMisfitError as misfit:
                self._instruct_schema(schema, misfit)
        if config:
            self._body["output_config"] = config

    def _instruct_schema(self, schema: JSONObject, misfit: SchemaMisfitError) -> None:
        if self._draft.schema_strict:
            raise UnsupportedValueError(
                f"the schema cannot be enforced: {misfit}. Change it, or send strict: false to "
                "have it asked for in words",
                param=self._draft.schema_param or None,
            ) from misfit
        self._instructions.append(schema_instruction(schema))
        self._notes["X-Response-Format"] = header_text(f"instruction; {misfit}")

    def _fit_speed(self) -> None:
        if not self._draft.speed_fast:
            return
        if self._options.fast_mode and self._model.fast_mode:
            self._body["speed"] = "fast"
        else:
            self._ignored.append("service_tier")

    def _drop_sampling(self) -> None:
        """The current API version refuses these fields for every model, even at their defaults."""
        for name in ("temperature", "top_p", "top_k"):
            if getattr(self._draft, name) is not None:
                self._ignored.append(name)

    def _fit_ending(self, thinking: Thinking) -> None:
        """An assistant's text at the end is a prefill: kept where it is taken, else continued."""
        messages = self._body["messages"]
        last = messages[-1]
        if last["role"] != "assistant":
            return
        formatted = "format" in self._body.get("output_config", {})
        if self._model.prefill and not thinking.is_on and not formatted:
            closing = last["content"][-1]
            stripped = {**closing, "text": closing["text"].rstrip()}
            last = {**last, "content": [*last["content"][:-1], stripped]}
            self._body["messages"] = [*messages[:-1], last]
        else:
            continued = {"role": "user", "content": [text_block(CONTINUE)]}
            self._body["messages"] = [*messages, continued]
