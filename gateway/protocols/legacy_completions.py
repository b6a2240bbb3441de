"""`POST /v1/completions`: a prompt as a chat request, and the answer as `text_completion`.

Clients use it to complete code while somebody types. Claude is told to continue the prompt, or to
fill the gap before `suffix`; prompts written for fill-in-the-middle models are understood too.

Source: SDK types `CompletionCreateParams` and `Completion` of the openai package 3.54.
"""

from gateway.protocols.completion_text import CompletionText
from gateway.protocols.messages_form import is_blank
from gateway.protocols.shared.draft import Draft, ReplyPlan
from gateway.protocols.shared.reading import (
    invalid,
    missing,
    optional_bool,
    optional_string,
    unsupported,
    wrong_type,
)
from gateway.protocols.shared.stops import finish_reason
from gateway.protocols.shared.usage import UsageMeter, openai_usage
from gateway.structs import Struct, field
from gateway.wire import JSON, JSONObject

DEFAULT_MAX_TOKENS = 16
"""OpenAI's default for this endpoint."""

_CONTINUE = (
    "You complete text at a cursor. The user's message is what stands before the cursor: code, "
    "prose, or a request. Answer with the text that comes right after it and with nothing else: "
    "do not repeat it, do not explain, do not put code into a code fence. When it asks for "
    "something, answer with what it asks for."
)
_FILL = (
    "You complete text at a cursor. <prefix> holds what stands before the cursor, <suffix> what "
    "stands behind it. Answer with the text to insert at the cursor and with nothing else: it is "
    "inserted as it is, so keep the indentation, repeat nothing of prefix or suffix, do not "
    "explain, do not use a code fence. The rest of a line is often enough."
)
# Marks of models that were trained to fill gaps: before the prefix, the suffix, the answer.
_FILL_MARKS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # noqa: RUF001 - as DeepSeek writes
    ("<PRE>", "<SUF>", "<MID>"),
)
_SAME_IN_CHAT = (
    "model", "stream", "stream_options", "stop", "temperature", "top_p", "top_k", "user", "seed",
    "frequency_penalty", "presence_penalty", "logit_bias", "metadata", "service_tier",
    "safety_identifier", "prompt_cache_key", "reasoning_effort", "thinking",
)  # fmt: skip
_READ = frozenset({*_SAME_IN_CHAT, "prompt", "suffix", "max_tokens", "n", "best_of", "echo"})


class CompletionPlan(Struct, frozen=True):
    """What the answer must know of the request beside its `ReplyPlan`.

    `echo` is the text to begin with; `blank_stops` are the stop sequences that the Messages API
    does not take; `strip_fence` tells that a code fence is Claude's and not the text's.
    """

    echo: str = ""
    blank_stops: tuple[str, ...] = ()
    strip_fence: bool = True

    def text(self) -> CompletionText:
        """The collector of one answer's text."""
        return CompletionText(self.blank_stops, strip_fence=self.strip_fence)


class CompletionRequest(Struct, frozen=True):
    """A request as a chat request; `ignored` names the fields that were dropped on the way."""

    chat: JSONObject
    plan: CompletionPlan
    ignored: list[str] = field(default_factory=list)


def read_completion(body: JSONObject) -> CompletionRequest:
    """The chat request that completes the prompt of `body`.

    Raises InvalidRequestError with the JSON path in `param`.
    """
    _refuse_lost_meaning(body)
    prompt = _prompt(body.get("prompt"))
    suffix = optional_string(body.get("suffix"), "suffix") or ""
    chat: JSONObject = {name: body[name] for name in _SAME_IN_CHAT if body.get(name) is not None}
    chat.setdefault("model", "auto")
    given = body.get("max_tokens")
    chat["max_tokens"] = DEFAULT_MAX_TOKENS if given is None else given
    chat["include_reasoning"] = False
    chat["messages"] = _messages(prompt, suffix)
    echo = optional_bool(body.get("echo"), "echo") is True
    plan = CompletionPlan(
        echo=prompt if echo else "",
        blank_stops=_blank_stops(body.get("stop")),
        strip_fence="```" not in prompt and "```" not in suffix,
    )
    unread = [name for name in body if name not in _READ and body[name] not in (None, False)]
    return CompletionRequest(chat, plan, unread)


def think_only_when_asked(draft: Draft) -> None:
    """Switch thinking off where the client did not ask for it: somebody waits at the cursor."""
    if draft.effort is None and draft.thinking is None:
        draft.effort = "none"


def completion_answer(
    message: JSONObject, meter: UsageMeter, reply: ReplyPlan, plan: CompletionPlan, created: int
) -> JSONObject:
    """The `text_completion` for an assembled Message; `created` in Unix seconds."""
    text, stop_reason = plan.text(), message.get("stop_reason")
    said = "" if stop_reason == "refusal" else text.feed(_text_of(message)) + text.finish()
    choice = {
        "text": plan.echo + said,
        "index": 0,
        "logprobs": None,
        "finish_reason": "stop" if text.is_over else completion_reason(stop_reason),
    }
    return {
        "id": completion_id(meter.message_id, str(created)),
        "object": "text_completion",
        "created": created,
        "model": reply.asked_model,
        "choices": [choice],
        "usage": openai_usage(meter),
    }


def completion_id(message_id: str | None, otherwise: str) -> str:
    """The `id` of an answer, derived from Claude's message id."""
    return "cmpl-" + (message_id or otherwise).removeprefix("msg_")


def completion_reason(stop_reason: str | None) -> str:
    """`finish_reason`: stop, length or content_filter."""
    return finish_reason(stop_reason, calls=False, legacy=False)


def _refuse_lost_meaning(body: JSONObject) -> None:
    for name in ("n", "best_of"):
        if body.get(name) not in (None, 1):
            raise unsupported(name, "must be 1: Claude gives one answer to a request")
    logprobs = body.get("logprobs")
    if logprobs is not None and logprobs is not False:  # 0 asks for those of the chosen tokens
        raise unsupported("logprobs", "cannot be given by Claude")


def _prompt(prompt: JSON) -> str:
    if prompt is None:
        raise missing("prompt")
    if isinstance(prompt, str):
        return prompt
    if not isinstance(prompt, list):
        raise wrong_type("prompt", "a string", prompt)
    if not prompt:
        raise invalid("prompt", "must not be empty")
    first = prompt[0]
    if isinstance(first, (int, float, list)) and not isinstance(first, bool):
        raise unsupported("prompt", "must be text: tokens of other models mean nothing to Claude")
    if len(prompt) > 1:
        raise unsupported("prompt", "must be one text: send one request for each prompt")
    if not isinstance(first, str):
        raise wrong_type("prompt[0]", "a string", first)
    return first


def _messages(prompt: str, suffix: str) -> list[JSON]:
    """The conversation that asks for the completion."""
    if not suffix:
        prompt, suffix = _marked_gap(prompt)
    if is_blank(suffix) and not is_blank(prompt):
        return [{"role": "system", "content": _CONTINUE}, {"role": "user", "content": prompt}]
    gap = f"<prefix>{prompt}</prefix>\n<suffix>{suffix}</suffix>"
    return [{"role": "system", "content": _FILL}, {"role": "user", "content": gap}]


def _marked_gap(prompt: str) -> tuple[str, str]:
    """Prefix and suffix of a prompt with marks of a fill-in-the-middle model, else the prompt."""
    for before_prefix, before_suffix, before_answer in _FILL_MARKS:
        context, found, rest = prompt.partition(before_prefix)
        prefix, also_found, rest = rest.partition(before_suffix)
        suffix, found_all, tail = rest.rpartition(before_answer)
        if found and also_found and found_all and not tail.strip():
            return context + prefix, suffix
    head, found, prefix = prompt.partition("[PREFIX]")
    if found and head.startswith("[SUFFIX]"):
        return prefix, head.removeprefix("[SUFFIX]")
    return prompt, ""


def _blank_stops(stop: JSON) -> tuple[str, ...]:
    """Stop sequences of whitespace only; what is no string is refused by the chat translation."""
    listed = [stop] if isinstance(stop, str) else stop
    if not isinstance(listed, list):
        return ()
    return tuple(each for each in listed if isinstance(each, str) and each and each.isspace())


def _text_of(message: JSONObject) -> str:
    blocks = message.get("content") or []
    return "".join(block.get("text") or "" for block in blocks if block.get("type") == "text")
